/**
 * Regular expressions whose time is bounded, whatever the pattern: a config may come from a stranger, and `(a+)+$` in
 * the engine's own takes for ever.
 *
 * The syntax and meaning are those of JavaScript without flags, but for back references, look-behind and named groups,
 * which are refused. Each pair of a state and a position is looked at once: what it led to does not depend on the way
 * there.
 */

/** Whether a text has a match. */
export type RegexTest = (text: string) => boolean;

/**
 * Compiles a regular expression.
 *
 * @throws SyntaxError for what is not a regular expression, is not supported here, or is too large.
 */
export function linearRegex(source: string): RegexTest {
  if (source.length > MOST_CHARACTERS) {
    throw new SyntaxError(`it has ${source.length} characters, and ${MOST_CHARACTERS} are allowed`);
  }
  new RegExp(source); // its syntax is checked by the engine, which does not run it
  const program = new Compiler(source).program();
  const work = { left: MOST_STEPS };
  return (text) => {
    const search = new Search(text, work);
    for (let at = 0; at <= text.length; at++) if (search.matches(program, at)) return true;
    return false;
  };
}

// ---------------------------------------------------------------------------

const MOST_CHARACTERS = 1000;
const MOST_STATES = 5000;
const MOST_DEPTH = 100;
/** Of all texts together: less than a second. */
const MOST_STEPS = 10_000_000;

type State =
  | { readonly kind: "one"; readonly fits: (char: string) => boolean }
  | { readonly kind: "split"; readonly to: readonly number[] } // relative
  | { readonly kind: "where"; readonly holds: (text: string, at: number) => boolean }
  | { readonly kind: "ahead"; readonly inner: readonly State[]; readonly wanted: boolean }
  | { readonly kind: "match" };

/** The search for matches in one text. */
class Search {
  readonly #text: string;
  readonly #work: { left: number };
  /** By program, which pairs of state and position lead to no match, and where there is one. */
  readonly #known = new Map<readonly State[], { dead: Uint8Array; ends: Map<number, boolean> }>();

  constructor(text: string, work: { left: number }) {
    this.#text = text;
    this.#work = work;
  }

  matches(program: readonly State[], from: number): boolean {
    let known = this.#known.get(program);
    if (!known) {
      const pairs = program.length * (this.#text.length + 1);
      if (pairs > this.#work.left) throw new SyntaxError("it takes too many steps here");
      this.#known.set(program, known = { dead: new Uint8Array(pairs), ends: new Map() });
    }
    let found = known.ends.get(from);
    if (found === undefined) known.ends.set(from, found = this.#walk(program, from, known.dead));
    return found;
  }

  #walk(program: readonly State[], from: number, dead: Uint8Array): boolean {
    const text = this.#text;
    const size = program.length;
    const seen: number[] = [];
    const waiting: number[] = [from * size];
    while (waiting.length > 0) {
      const id = waiting.pop()!;
      if (dead[id]) continue; // it led nowhere, or is being looked at
      dead[id] = 1;
      seen.push(id);
      if (--this.#work.left < 0) throw new SyntaxError("it takes too many steps here");
      const at = Math.floor(id / size);
      const state = program[id - at * size];
      if (state.kind === "match") {
        for (const i of seen) dead[i] = 0; // some of them lead here
        return true;
      }
      if (state.kind === "split") { for (const to of state.to) waiting.push(id + to); }
      else if (state.kind === "one") {
        if (at < text.length && state.fits(text[at])) waiting.push(id + size + 1);
      } else if (state.kind === "where") {
        if (state.holds(text, at)) waiting.push(id + 1);
      } else if (this.matches(state.inner, at) === state.wanted) waiting.push(id + 1);
    }
    return false;
  }
}

const isWord = (text: string, at: number) => at >= 0 && at < text.length && /\w/.test(text[at]);
const ANCHORS: Record<string, (text: string, at: number) => boolean> = {
  "^": (_, at) => at === 0,
  "$": (text, at) => at === text.length,
  "\\b": (text, at) => isWord(text, at - 1) !== isWord(text, at),
  "\\B": (text, at) => isWord(text, at - 1) === isWord(text, at),
};

/** From the text to states, by the grammar: alternatives, terms, atoms. Repetitions are written out. */
class Compiler {
  readonly #source: string;
  #at = 0;
  #depth = 0;
  #states = 0;

  constructor(source: string) {
    this.#source = source;
  }

  program(): State[] {
    const body = this.#alternatives();
    return [...body, { kind: "match" }];
  }

  #alternatives(): State[] {
    if (++this.#depth > MOST_DEPTH) throw new SyntaxError("its groups are nested too deeply");
    let all = this.#sequence();
    while (this.#source[this.#at] === "|") {
      this.#at++;
      all = this.#either(all, this.#sequence());
    }
    this.#depth--;
    return all;
  }

  #sequence(): State[] {
    const all: State[] = [];
    while (this.#at < this.#source.length && !"|)".includes(this.#source[this.#at])) {
      this.#append(all, this.#repeated(this.#atom()));
    }
    return all;
  }

  #repeated(atom: State[]): State[] {
    const found = /^(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})\??/.exec(this.#source.slice(this.#at));
    if (!found) return atom;
    this.#at += found[0].length;
    const sign = found[0][0];
    const least = sign === "{" ? Number(found[1]) : sign === "+" ? 1 : 0;
    const most = sign === "?"
      ? 1
      : sign !== "{" || (found[2] && !found[3])
      ? Infinity
      : Number(found[3] ?? least);
    const all: State[] = [];
    for (let i = 0; i < least; i++) this.#append(all, atom);
    if (most === Infinity) {
      // split → atom → back to the split
      const split: State = { kind: "split", to: [1, atom.length + 2] };
      this.#append(all, [split, ...atom, { kind: "split", to: [-atom.length - 1] }]);
      return all;
    }
    // Each further one is optional, and all behind it with it.
    for (let i = least; i < most; i++) {
      const behind = (most - i) * (atom.length + 1);
      this.#append(all, [{ kind: "split", to: [1, behind] }, ...atom]);
    }
    return all;
  }

  #atom(): State[] {
    const rest = this.#source.slice(this.#at);
    const start = this.#at;
    if (rest[0] === "(") return this.#group(rest, start);
    const token =
      /^(?:\[(?:\\[^]|[^\]\\])*\]|\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|c[A-Za-z]|[^])|[^])/.exec(rest)![0];
    this.#at += token.length;
    if (Object.hasOwn(ANCHORS, token)) return [{ kind: "where", holds: ANCHORS[token] }];
    if (/^\\[1-9k]/.test(token)) this.#refuse("a back reference", start);
    const one = new RegExp(`^${token}$`, "s"); // of one character, with no repetition
    const any = token === ".";
    const known = new Map<string, boolean>();
    const fits = (c: string) => {
      let answer = known.get(c);
      if (answer === undefined) known.set(c, answer = any ? !/[\n\r\u2028\u2029]/.test(c) : one.test(c));
      return answer;
    };
    return [{ kind: "one", fits }];
  }

  #group(rest: string, start: number): State[] {
    const [open, sign] = /^\((\?(?:[:=!]|<[=!]|<|))?/.exec(rest)!;
    if (sign && !["?:", "?=", "?!"].includes(sign)) {
      this.#refuse(
        sign.startsWith("?<") && sign !== "?<" ? "look-behind" : "a group with a name or flags",
        start,
      );
    }
    this.#at += open.length;
    const inner = this.#alternatives();
    this.#at++; // the closing one
    if (sign !== "?=" && sign !== "?!") return inner;
    return [{ kind: "ahead", inner: [...inner, { kind: "match" }], wanted: sign === "?=" }];
  }

  #either(a: State[], b: State[]): State[] {
    const all: State[] = [];
    this.#append(all, [{ kind: "split", to: [1, a.length + 2] }, ...a]);
    this.#append(all, [{ kind: "split", to: [b.length + 1] }, ...b]);
    return all;
  }

  /** Targets are relative while parts are put together. */
  #append(all: State[], part: readonly State[]): void {
    this.#states += part.length;
    if (this.#states > MOST_STATES) throw new SyntaxError("it is too large");
    for (const state of part) all.push(state);
  }

  #refuse(what: string, at: number): never {
    throw new SyntaxError(`${what} (at ${at}) is not supported here`);
  }
}
