/** Small changes to a source, each of which should make a test fail. @module */

/** One change. */
export interface Mutation {
  /** Where it begins in the text. */
  readonly start: number;
  /** Where what it takes the place of ends. */
  readonly end: number;
  /** What stands there afterwards. */
  readonly text: string;
  /** Which operator made it. */
  readonly operator: string;
}

/**
 * The changes that a source allows, in the order of the text. What lies in comments, strings, templates and regular
 * expressions is left alone; so are imports.
 */
export function mutationsOf(source: string): Mutation[] {
  const code = codeOnly(source);
  const found: Mutation[] = [];
  const add = (operator: string, start: number, end: number, text: string) =>
    found.push({ operator, start, end, text });
  for (const [operator, pattern, by] of SWAPS) {
    for (const m of code.matchAll(pattern)) {
      const word = m[1];
      const start = m.index + m[0].indexOf(word);
      for (const text of by[word] ?? []) add(operator, start, start + word.length, text);
    }
  }
  for (const m of code.matchAll(/\b(?:if|while) (\()/g)) { // a condition
    const start = m.index + m[0].length - 1;
    const end = closing(code, start);
    if (end !== undefined) add("negate", start, end, `(!${source.slice(start, end)})`);
  }
  for (const m of code.matchAll(/(?:return|=>|(?<![=!<>])=) ([\w!(][^\n;?{]*?) \?(?!\?)[ \n]/g)) { // a ? b : c
    const start = m.index + m[0].indexOf(m[1]);
    if (balanced(m[1])) {
      add("negate", start, start + m[1].length, `!(${source.slice(start, start + m[1].length)})`);
    }
  }
  for (const m of code.matchAll(/(?<=^\s*(?:(?:if \(.*\)|else) )?)(throw |raise\(|return raise\()/gm)) {
    const end = statementEnd(code, m.index);
    if (end !== undefined) add("drop error", m.index, end, "{}");
  }
  for (const m of code.matchAll(/\)(?:: (?:Promise<void>|void|boolean|Promise<boolean>))? (?:=> )?\{\n/g)) {
    const head = code.lastIndexOf("\n", m.index) + 1;
    if (/\b(?:if|for|while|switch|catch)\b/.test(code.slice(head, m.index))) continue;
    const at = m.index + m[0].length;
    add("return early", at, at, "return;\n");
  }
  return found.sort((a, b) => a.start - b.start || a.end - b.end);
}

/** A source with one change. */
export function mutate(source: string, { start, end, text }: Mutation): string {
  return source.slice(0, start) + text + source.slice(end);
}

/** The 1-based line of a change, and what it was and is. */
export function describeMutation(source: string, m: Mutation): string {
  const line = source.slice(0, m.start).split("\n").length;
  const short = (text: string) => {
    const flat = text.replaceAll(/\s+/g, " ").trim();
    return flat.length > 60 ? `${flat.slice(0, 57)}...` : flat;
  };
  return `${line}: ${m.operator}: ${short(source.slice(m.start, m.end)) || "(nothing)"} → ${short(m.text)}`;
}

// ---------------------------------------------------------------------------------------------------------

type Swap = readonly [operator: string, pattern: RegExp, by: Readonly<Record<string, readonly string[]>>];

const SWAPS: readonly Swap[] = [
  ["and, or", / (&&|\|\|) ?/g, { "&&": ["||"], "||": ["&&"] }],
  ["equal", / (===|!==) /g, { "===": ["!=="], "!==": ["==="] }],
  ["border", / (<|<=|>|>=) /g, { "<": ["<="], "<=": ["<"], ">": [">="], ">=": [">"] }],
  ["text", /\.(startsWith|endsWith|includes)\(/g, {
    startsWith: ["includes", "endsWith"],
    endsWith: ["includes", "startsWith"],
    includes: ["startsWith", "endsWith"],
  }],
  ["all, any", /\.(some|every)\(/g, { some: ["every"], every: ["some"] }],
  ["one more", /( [+-] 1)\b(?!\.)/g, { " + 1": [" - 1", ""], " - 1": [" + 1", ""] }],
  ["true, false", /(?<!: )\b(true|false)\b/g, { true: ["false"], false: ["true"] }],
  ["not", /(?<![!=\w)\]])(!)(?=[\w(])/g, { "!": [""] }],
  ["default", / (\?\?) /g, { "??": ["&&"] }],
];

/** The source with spaces for all that is no code, so that places stay what they are. */
function codeOnly(source: string): string {
  const chars = source.split("");
  const blank = (from: number, to: number) => {
    for (let i = from; i < to; i++) if (chars[i] !== "\n") chars[i] = " ";
  };
  for (const m of source.matchAll(/^(?:import|export) [^;]*? from "[^"]*"[^;]*;/gm)) {
    blank(m.index, m.index + m[0].length);
  }
  for (let i = 0; i < source.length;) {
    if (chars[i] === " " && source[i] !== " ") { // an import
      i++;
      continue;
    }
    const end = nonCodeEnd(source, chars, i);
    if (end > i) blank(i, end);
    i = Math.max(end, i + 1);
  }
  return chars.join("");
}

/** Where the comment, string, template or regular expression that begins here ends; the same place for code. */
function nonCodeEnd(source: string, chars: readonly string[], i: number): number {
  const c = source[i];
  const two = source.slice(i, i + 2);
  if (two === "//") return endOr(source.indexOf("\n", i), source);
  if (two === "/*") return endOr(source.indexOf("*/", i + 2), source, 2);
  if (c === '"' || c === "'") return quoteEnd(source, i, c);
  if (c === "`") return templateEnd(source, i);
  if (
    c === "/" &&
    /(?:^|[(,=:[!&|?{};\n>]|\breturn|\btypeof)\s*$/.test(chars.slice(Math.max(0, i - 40), i).join(""))
  ) {
    const m = /^\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/.exec(source.slice(i));
    return m ? i + m[0].length : i;
  }
  return i;
}

function quoteEnd(source: string, i: number, quote: string): number {
  for (i++; i < source.length && source[i] !== quote; i++) if (source[i] === "\\") i++;
  return i + 1;
}

function templateEnd(source: string, i: number): number {
  for (i++; i < source.length && source[i] !== "`"; i++) {
    if (source[i] === "\\") i++;
    else if (source.startsWith("${", i)) {
      let depth = 1;
      for (i += 2; i < source.length && depth > 0; i++) {
        if (source[i] === "{") depth++;
        else if (source[i] === "}") depth--;
        else if (source[i] === "`") i = templateEnd(source, i) - 1;
        else if (source[i] === '"' || source[i] === "'") i = quoteEnd(source, i, source[i]) - 1;
      }
      i--;
    }
  }
  return i + 1;
}

function endOr(at: number, source: string, more = 0): number {
  return at < 0 ? source.length : at + more;
}

/** After the bracket that closes the one here. */
function closing(code: string, start: number): number | undefined {
  let depth = 0;
  for (let i = start; i < code.length; i++) {
    if ("([{".includes(code[i])) depth++;
    else if (")]}".includes(code[i]) && --depth === 0) return i + 1;
  }
  return undefined;
}

/** After the semicolon that ends the statement here. */
function statementEnd(code: string, start: number): number | undefined {
  let depth = 0;
  for (let i = start; i < code.length; i++) {
    if ("([{".includes(code[i])) depth++;
    else if (")]}".includes(code[i])) { if (--depth < 0) return undefined; }
    else if (code[i] === ";" && depth === 0) return i + 1;
  }
  return undefined;
}

function balanced(code: string): boolean {
  let depth = 0;
  for (const c of code) {
    if ("([{".includes(c)) depth++;
    else if (")]}".includes(c) && --depth < 0) return false;
  }
  return depth === 0;
}
