/**
 * Whether a regular expression may take time that grows exponentially with its text, as `(a+)+` does, or with a high
 * power of its length, as `a*a*a*b` does: there a word can be read in more and more ways, and an engine that
 * backtracks tries all of them before it gives up.
 *
 * Found on the automaton of Glushkov, which has a state for each character of the expression: two different ways lead
 * from a state back to itself along one word (Weideman et al., Analyzing Matching Time Behavior of Backtracking
 * Regular Expression Matchers, 2016). What cannot be told, such as back references, counts as slow.
 */
import { largestOf } from "../extremes.ts";

/**
 * @param source The source of a JavaScript expression, with the flag `u`.
 * @returns Why it may take for ever; undefined where it does not.
 */
export function backtracksIn(source: string): string | undefined {
  try {
    const parser = new Parser(source);
    const whole = parser.all();
    for (const body of [whole, ...parser.lookarounds]) {
      const why = new Automaton(body).ambiguity();
      if (why !== undefined) return why;
    }
    return undefined;
  } catch (error) {
    if (error instanceof Untold) return error.message;
    throw error;
  }
}

// ---------------------------------------------------------------------------

/** Characters of an expression, and repetitions beyond which one counts as endless. */
const [MOST_STATES, MOST_COPIES, MOST_PAIRS, MOST_DEPTH] = [600, 4, 200_000, 100];
/** So many loops that share one text take the fourth power of its length, with all places to begin at. */
const MOST_LOOPS = 3;

class Untold extends Error {}

type Node =
  | { readonly kind: "char"; readonly set: bigint }
  | { readonly kind: "empty" }
  | { readonly kind: "sequence" | "choice"; readonly parts: readonly Node[] }
  | { readonly kind: "loop"; readonly body: Node; readonly least: 0 | 1 }
  | { readonly kind: "maybe"; readonly body: Node };

const EMPTY: Node = { kind: "empty" };

/** Characters that stand for all: of each of the kinds that expressions tell apart. */
const SAMPLES: readonly string[] = [
  ...Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)),
  ..."ĀāŁłſKΩωЖжאبनไ中あア한ǅʰªً͏ٓंा҉⁀_٣Ⅷ½¹²…—“”’。、，।،$€^˘+∑©😀🇩\u2028\u00a0\u3000\u200b\u200d\ufeff\ue000𝒜𝟘",
];

class Parser {
  /** What stands in lookaheads and lookbehinds: each is matched by itself. */
  readonly lookarounds: Node[] = [];
  readonly #source: string;
  #at = 0;
  #depth = 0;
  #states = 0;

  constructor(source: string) {
    this.#source = source;
  }

  all(): Node {
    const node = this.#choice("");
    if (this.#at < this.#source.length) throw new Untold("its parentheses do not fit");
    return node;
  }

  #choice(flags: string): Node {
    if (++this.#depth > MOST_DEPTH) throw new Untold("its groups are nested too deeply");
    const parts = [this.#sequence(flags)];
    while (this.#take("|")) parts.push(this.#sequence(flags));
    this.#depth--;
    return parts.length === 1 ? parts[0] : { kind: "choice", parts };
  }

  #sequence(flags: string): Node {
    const parts: Node[] = [];
    while (this.#at < this.#source.length && !/[|)]/.test(this.#source[this.#at])) {
      const start = this.#at;
      const node = this.#atom(flags);
      parts.push(this.#repeated(node, () => {
        const end = this.#at;
        this.#at = start;
        const again = this.#atom(flags);
        this.#at = end;
        return again;
      }));
    }
    return parts.length === 1 ? parts[0] : { kind: "sequence", parts };
  }

  #atom(flags: string): Node {
    const group = this.#match(/\((?:\?(?:<?[=!]|<[^>]*>|[a-z]*(?:-[a-z]*)?:))?/y);
    if (group !== undefined) {
      const own = /^\(\?([a-z]*)/.exec(group)?.[1] ?? "";
      const body = this.#choice(own === "" ? flags : own.includes("i") ? "i" : flags);
      if (!this.#take(")")) throw new Untold("a group does not end");
      if (!/[=!]$/.test(group)) return body;
      this.lookarounds.push(body);
      return EMPTY;
    }
    if (this.#match(/[\^$]|\\[bB]/y) !== undefined) return EMPTY;
    if (this.#match(/\\[1-9]|\\k</y) !== undefined) {
      throw new Untold("it refers back to what a group matched");
    }
    const text = this.#match(
      /\[(?:\\[^]|[^\]\\])*\]|\\[pP]\{[^}]*\}|\\u\{[^}]*\}|\\u[\da-fA-F]{4}|\\x[\da-fA-F]{2}|\\c[a-zA-Z]|\\[^]|[^]/yu,
    )!;
    if (++this.#states > MOST_STATES) throw new Untold("it is too long");
    return { kind: "char", set: charactersOf(text, flags) };
  }

  #repeated(node: Node, copy: () => Node): Node {
    const text = this.#match(/(?:[*+?]|\{\d+(?:,\d*)?\})\??/y);
    if (text === undefined) return node;
    if (text[0] === "?") return { kind: "maybe", body: node };
    if (text[0] === "*" || text[0] === "+") {
      return { kind: "loop", body: node, least: text[0] === "*" ? 0 : 1 };
    }
    const [, from, comma, to] = /\{(\d+)(,?)(\d*)/.exec(text)!;
    const least = Number(from);
    const most = comma === "" ? least : to === "" ? Infinity : Number(to);
    if (most === 0) return EMPTY;
    // Many copies are as bad as endless ones.
    if (most > MOST_COPIES) {
      return node.kind === "char" && most < Infinity && least === most
        ? node // a fixed number of characters
        : { kind: "loop", body: node, least: least > 0 ? 1 : 0 };
    }
    const parts = [node, ...Array.from({ length: most - 1 }, copy)]
      .map((part, i): Node => i < least ? part : { kind: "maybe", body: part });
    return { kind: "sequence", parts };
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }
}

/** Which of the samples a class takes, as bits; and those of its own letters that no sample is. */
function charactersOf(text: string, flags: string): bigint {
  const known = classes.get(text + flags);
  if (known !== undefined) return known;
  let set = 0n;
  try {
    const pattern = new RegExp(`^${text}$`, `us${flags}`);
    SAMPLES.forEach((c, i) => {
      if (pattern.test(c)) set |= 1n << BigInt(i);
    });
    if (set === 0n) set = -1n; // something rare: it may be anything
  } catch {
    set = -1n;
  }
  if (classes.size > 10_000) classes.clear();
  classes.set(text + flags, set);
  return set;
}

const classes = new Map<string, bigint>();

interface Ends {
  readonly first: readonly number[];
  readonly last: readonly number[];
  readonly nullable: boolean;
}

class Automaton {
  readonly #sets: bigint[] = [];
  /** Where each state leads to; twice, where two ways lead there. */
  readonly #follow: number[][] = [];

  constructor(root: Node) {
    this.#add(root);
  }

  ambiguity(): string | undefined {
    const component = componentsOf(this.#follow.length, (p) => this.#follow[p]);
    const why = "a repeated part can match one text in several ways";
    for (let p = 0; p < this.#follow.length; p++) {
      const inside = this.#follow[p].filter((q) => component[q] === component[p]);
      if (new Set(inside).size < inside.length) return why;
    }
    if (this.#twoWays(component)) return why;
    return this.#longestChain(component) >= MOST_LOOPS
      ? `${MOST_LOOPS} or more repeated parts can share one text in many ways`
      : undefined;
  }

  /** The most loops after each other that all take one character. Components are numbered from the last. */
  #longestChain(component: readonly number[]): number {
    const byPlace = Array.from(component.keys()).sort((a, b) => component[a] - component[b]);
    let longest = 0;
    for (let sample = 0n; sample < BigInt(SAMPLES.length); sample++) {
      const takes = (p: number) => (this.#sets[p] >> sample & 1n) === 1n;
      const chain = new Array<number>(largestOf(component, -1) + 1).fill(0);
      const loops = new Set<number>();
      for (const p of byPlace) {
        if (!takes(p)) continue;
        const own = component[p];
        for (const q of this.#follow[p]) {
          if (!takes(q)) continue;
          if (component[q] === own) loops.add(own);
          else chain[own] = Math.max(chain[own], chain[component[q]] + (loops.has(component[q]) ? 1 : 0));
        }
      }
      chain.forEach((length, c) => longest = Math.max(longest, length + (loops.has(c) ? 1 : 0)));
    }
    return longest;
  }

  /** Whether a pair of equal states and a pair of different ones lead to each other. */
  #twoWays(component: readonly number[]): boolean {
    const n = this.#follow.length;
    const ids = new Map<number, number>();
    const pairs: [number, number][] = [];
    const idOf = (p: number, q: number) => {
      const key = p * n + q;
      const id = ids.get(key) ?? pairs.push([p, q]) - 1;
      ids.set(key, id);
      if (pairs.length > MOST_PAIRS) throw new Untold("it is too large to be looked through");
      return id;
    };
    for (let p = 0; p < n; p++) idOf(p, p);
    const edges: number[][] = [];
    for (let id = 0; id < pairs.length; id++) {
      const [p, q] = pairs[id];
      edges[id] = [];
      for (const a of this.#follow[p]) {
        if (component[a] !== component[p]) continue; // no way back
        for (const b of this.#follow[q]) {
          if (component[b] === component[q] && (this.#sets[a] & this.#sets[b]) !== 0n) {
            edges[id].push(idOf(a, b));
          }
        }
      }
    }
    const together = componentsOf(pairs.length, (id) => edges[id]);
    const equal = new Set<number>();
    for (let p = 0; p < n; p++) equal.add(together[p]);
    return pairs.some(([p, q], id) => p !== q && equal.has(together[id]));
  }

  #add(node: Node): Ends {
    switch (node.kind) {
      case "empty":
        return { first: [], last: [], nullable: true };
      case "char": {
        const state = this.#sets.push(node.set) - 1;
        this.#follow.push([]);
        return { first: [state], last: [state], nullable: false };
      }
      case "choice": {
        const ends = node.parts.map((part) => this.#add(part));
        return {
          first: ends.flatMap((e) => e.first),
          last: ends.flatMap((e) => e.last),
          nullable: ends.some((e) => e.nullable),
        };
      }
      case "maybe":
        return { ...this.#add(node.body), nullable: true };
      case "loop": {
        const ends = this.#add(node.body);
        this.#connect(ends.last, ends.first);
        return node.least === 0 ? { ...ends, nullable: true } : ends;
      }
      case "sequence": {
        let all: Ends = { first: [], last: [], nullable: true };
        for (const part of node.parts) {
          const next = this.#add(part);
          this.#connect(all.last, next.first);
          all = {
            first: all.nullable ? [...all.first, ...next.first] : all.first,
            last: next.nullable ? [...all.last, ...next.last] : next.last,
            nullable: all.nullable && next.nullable,
          };
        }
        return all;
      }
    }
  }

  #connect(from: readonly number[], to: readonly number[]): void {
    for (const p of from) for (const t of to) this.#follow[p].push(t);
  }
}

/** The strongly connected component of each state (Tarjan 1972), without recursion. */
function componentsOf(count: number, next: (state: number) => readonly number[]): number[] {
  const [index, low, component] = [0, 1, 2].map(() => new Array<number>(count).fill(-1));
  const stack: number[] = [];
  let [seen, found] = [0, 0];
  for (let root = 0; root < count; root++) {
    if (index[root] >= 0) continue;
    const work: [state: number, edge: number][] = [[root, 0]];
    while (work.length > 0) {
      const top = work[work.length - 1];
      const [state, edge] = top;
      if (edge === 0) {
        index[state] = low[state] = seen++;
        stack.push(state);
      }
      const to = next(state)[edge];
      if (to !== undefined) {
        top[1]++;
        if (index[to] < 0) work.push([to, 0]);
        else if (component[to] < 0) low[state] = Math.min(low[state], index[to]);
        continue;
      }
      work.pop();
      if (low[state] === index[state]) {
        for (let member = -1; member !== state;) component[member = stack.pop()!] = found;
        found++;
      }
      const parent = work.at(-1)?.[0];
      if (parent !== undefined) low[parent] = Math.min(low[parent], low[state]);
    }
  }
  return component;
}
