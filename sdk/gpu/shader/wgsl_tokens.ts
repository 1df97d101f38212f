/** A word, a number or a punctuation mark of WGSL. */
export interface Token {
  /** What it is; `end` comes once, last. */
  readonly kind: "name" | "number" | "mark" | "end";
  /** Its text. Marks are single characters: `>>` may close two template lists. */
  readonly text: string;
  /** Where it begins in the code. */
  readonly at: number;
}

/** What is wrong with a shader, and where in its code. */
export class WgslFault extends Error {
  /** Offset in the code. */
  readonly at: number;
  /** How many characters are concerned. */
  readonly length: number;
  /** Whether no driver would take it either. */
  readonly certain: boolean;

  /** Describes one. */
  constructor(what: string, at: number, length = 1, certain = false) {
    super(what);
    [this.at, this.length, this.certain] = [at, Math.max(1, length), certain];
  }
}

/**
 * Splits WGSL into tokens, without blanks and comments.
 *
 * @throws WgslFault for a block comment without an end.
 */
export function tokensOf(code: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(code)?.[0];
  };
  while (at < code.length) {
    const skipped = match(BLANK) ?? match(LINE_COMMENT);
    if (skipped !== undefined) {
      at += skipped.length;
    } else if (code.startsWith("/*", at)) {
      at = endOfComment(code, at);
    } else {
      const name = match(NAME);
      const number = name === undefined ? match(NUMBER) : undefined;
      const text = name ?? number ?? code[at];
      tokens.push({ kind: name !== undefined ? "name" : number !== undefined ? "number" : "mark", text, at });
      at += text.length;
    }
  }
  tokens.push({ kind: "end", text: "", at: code.length });
  return tokens;
}

// ---------------------------------------------------------------------------

// As the specification has them: what is blank, what ends a line, what a name and a number are.
const BLANK = /[\s\u0085\u200e\u200f]+/y;
const LINE_COMMENT = /\/\/[^\n\v\f\r\u0085\u2028\u2029]*/y;
const NAME = /[\p{XID_Start}_]\p{XID_Continue}*/uy;
const NUMBER =
  /0[xX](?:[\da-fA-F]+\.?[\da-fA-F]*|\.[\da-fA-F]+)(?:[pP][+-]?\d+)?[iufh]?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[iufh]?/y;

/** Block comments nest. */
function endOfComment(code: string, from: number): number {
  let depth = 0;
  for (let at = from; at < code.length;) {
    const two = code.slice(at, at + 2);
    if (two === "/*") depth++;
    if (two === "*/" && --depth === 0) return at + 2;
    at += two === "/*" || two === "*/" ? 2 : 1;
  }
  throw new WgslFault("the comment has no end", from, 2, true);
}
