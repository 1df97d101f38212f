import { type Token, WgslFault } from "./wgsl_tokens.ts";

/** An expression or a type; types are written as expressions are. */
export type Expression =
  & { readonly at: number }
  & (
    | { readonly kind: "number"; readonly text: string }
    | { readonly kind: "name"; readonly name: string; readonly args: readonly Expression[] | undefined }
    | { readonly kind: "unary"; readonly mark: string; readonly of: Expression }
    | {
      readonly kind: "binary";
      readonly mark: string;
      readonly left: Expression;
      readonly right: Expression;
    }
    | { readonly kind: "call"; readonly of: Expression; readonly args: readonly Expression[] }
    | { readonly kind: "member"; readonly of: Expression; readonly name: string }
    | { readonly kind: "index"; readonly of: Expression; readonly index: Expression }
  );

/** Reads tokens one after the other. */
export class Reader {
  readonly #tokens: readonly Token[];
  #i: number;
  #depth = 0;

  /** Begins at the token `from`. */
  constructor(tokens: readonly Token[], from = 0) {
    [this.#tokens, this.#i] = [tokens, from];
  }

  /** The next token's index. */
  get index(): number {
    return this.#i;
  }

  /** The next token. */
  get next(): Token {
    return this.#tokens[this.#i];
  }

  /** Takes the next token. */
  take(): Token {
    const token = this.next;
    if (token.kind !== "end") this.#i++;
    return token;
  }

  /** Takes the next token if it is this text. */
  skip(text: string): boolean {
    if (this.next.text !== text || this.next.kind === "end") return false;
    this.#i++;
    return true;
  }

  /** Takes the next token, which must be this text. */
  expect(text: string): void {
    if (!this.skip(text)) this.refuse(`expected "${text}"`);
  }

  /** Takes a name. */
  name(what: string): string {
    if (this.next.kind !== "name") this.refuse(`expected ${what}`);
    return this.take().text;
  }

  /** Takes everything up to one of the marks outside all brackets, and leaves that mark. */
  upTo(...marks: string[]): void {
    while (!marks.includes(this.next.text)) {
      if (this.next.kind === "end") this.refuse(`expected "${marks.join('" or "')}"`);
      if (CLOSING[this.next.text]) this.brackets();
      else if (/^[)\]}]$/.test(this.next.text)) this.refuse(`expected "${marks.join('" or "')}"`);
      else this.take();
    }
  }

  /** Takes a bracket and everything up to the one that closes it. */
  brackets(): void {
    const open: Token[] = [];
    do {
      const token = this.take();
      const last = open.at(-1);
      if (token.kind === "end") throw new WgslFault(`the "${last!.text}" is never closed`, last!.at, 1, true);
      if (CLOSING[token.text]) open.push(token);
      else if (/^[)\]}]$/.test(token.text)) {
        if (CLOSING[last!.text] !== token.text) {
          throw new WgslFault(`"${token.text}" does not close "${last!.text}"`, token.at, 1, true);
        }
        open.pop();
      }
    } while (open.length > 0);
  }

  /** Expressions up to a closing mark, which is taken too. */
  list(close: string, inTemplate = false): Expression[] {
    const all: Expression[] = [];
    while (!this.skip(close)) {
      all.push(this.expression(0, inTemplate));
      if (!this.skip(",")) {
        this.expect(close);
        break;
      }
    }
    return all;
  }

  /** An expression whose operators bind at least as tightly as `least`; in a template list `>` ends it. */
  expression(least = 0, inTemplate = false): Expression {
    if (++this.#depth > DEEPEST) this.refuse("the expression is nested too deeply");
    let left = this.#unary();
    for (;;) {
      const mark = this.#operator(inTemplate);
      if (!mark || BINDS[mark] < least) break;
      const { at } = this.next;
      this.#i += mark.length;
      left = { kind: "binary", mark, left, right: this.expression(BINDS[mark] + 1, inTemplate), at };
    }
    this.#depth--;
    return left;
  }

  /** Says that the next token is wrong. */
  refuse(what: string): never {
    const { kind, text, at } = this.next;
    throw new WgslFault(`${what}, and got ${kind === "end" ? "the end" : `"${text}"`}`, at, text.length);
  }

  #operator(inTemplate: boolean): string | undefined {
    const { text, at, kind } = this.next;
    if (kind !== "mark") return undefined;
    const after = this.#tokens[this.#i + 1];
    const two = after.at === at + 1 ? text + after.text : "";
    if (inTemplate && text === ">") return undefined;
    if (two in BINDS) return two;
    return text in BINDS ? text : undefined;
  }

  #unary(): Expression {
    const marks: Token[] = [];
    while (/^[-!~&*]$/.test(this.next.text)) marks.push(this.take());
    let of = this.#postfix();
    for (const { text, at } of marks.reverse()) of = { kind: "unary", mark: text, of, at };
    return of;
  }

  #postfix(): Expression {
    let of = this.#primary();
    for (;;) {
      const { at } = this.next;
      if (this.skip("(")) of = { kind: "call", of, args: this.list(")"), at: of.at };
      else if (this.skip(".")) of = { kind: "member", of, name: this.name("a member's name"), at };
      else if (this.skip("[")) {
        of = { kind: "index", of, index: this.expression(), at };
        this.expect("]");
      } else return of;
    }
  }

  #primary(): Expression {
    const { kind, text, at } = this.next;
    if (kind === "number") {
      this.take();
      return { kind, text, at };
    }
    if (kind === "name") {
      this.take();
      // Only predeclared types and functions take template lists; behind any other name "<" compares.
      const args = GENERIC.test(text) && this.skip("<") ? this.list(">", true) : undefined;
      return { kind, name: text, args, at };
    }
    if (this.skip("(")) {
      const inside = this.expression();
      this.expect(")");
      return inside;
    }
    this.refuse("expected a value or a type");
  }
}

// ---------------------------------------------------------------------------

const DEEPEST = 200;
const CLOSING = table({ "(": ")", "[": "]", "{": "}" });
const GENERIC =
  /^(?:array|atomic|ptr|vec[234]|mat[234]x[234]|bitcast|binding_array|sampler\w*|texture_\w+|subgroup_matrix\w*)$/;

const LEVELS = [
  ["||"],
  ["&&"],
  ["|"],
  ["^"],
  ["&"],
  ["==", "!="],
  ["<", ">", "<=", ">="],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "%"],
];
const BINDS = table(Object.fromEntries(LEVELS.flatMap((marks, i) => marks.map((mark) => [mark, i + 1]))));

/** An object that has no other names than its own: those looked for come from code. */
function table<T>(entries: Record<string, T>): Record<string, T> {
  return Object.assign(Object.create(null), entries);
}
