import type { ShaderVariant } from "./shader.ts";

/**
 * Whether a shader may write a variable that it declares as read_write: an assignment to it, or a pointer that
 * leaves it. Some bind everything as read_write and only read. Where the text leaves a doubt, it writes.
 */
export function mayWrite(variant: ShaderVariant, name: string): boolean {
  let known = answers.get(variant);
  if (!known) answers.set(variant, known = new Map());
  let answer = known.get(name);
  if (answer === undefined) known.set(name, answer = writesName(withoutComments(variant.code), name));
  return answer;
}

// ---------------------------------------------------------------------------

const answers = new WeakMap<ShaderVariant, Map<string, boolean>>();
const ASSIGNS = /^(?:=(?!=)|\+\+|--|(?:[-+*/%&|^]|<<|>>)=(?!=))/;

function writesName(code: string, name: string): boolean {
  const word = new RegExp(`(?<![\\p{L}\\p{N}_])${name}(?![\\p{L}\\p{N}_])`, "gu");
  for (const { index } of code.matchAll(word)) {
    const before = code.slice(Math.max(0, index - 60), index).trimEnd();
    // A pointer: only these two are known to leave what is behind it.
    if (/(?:^|[^&])&$/.test(before.replace(/(?:\(\s*)+$/, ""))) {
      if (!/\b(?:arrayLength|atomicLoad)\s*\(\s*&$/.test(before)) return true;
      continue;
    }
    if (ASSIGNS.test(code.slice(endOfPlace(code, index + name.length)).trimStart())) return true;
  }
  return false;
}

/** Where `x[…].y)` ends that begins with a name. */
function endOfPlace(code: string, at: number): number {
  for (;;) {
    const rest = /^\s*(?:(\[)|\.\s*[\p{L}_][\p{L}\p{N}_]*|\))/u.exec(code.slice(at, at + 200));
    if (!rest) return at;
    at += rest[0].length;
    if (rest[1]) at = behindBracket(code, at);
  }
}

function behindBracket(code: string, at: number): number {
  for (let depth = 1; depth > 0 && at < code.length; at++) {
    if (code[at] === "[") depth++;
    else if (code[at] === "]") depth--;
  }
  return at;
}

/** Block comments may hold others. */
function withoutComments(code: string): string {
  let out = "";
  for (let at = 0, depth = 0; at < code.length; at++) {
    const two = code.slice(at, at + 2);
    if (two === "/*") [depth, at] = [depth + 1, at + 1];
    else if (depth > 0 && two === "*/") [depth, at, out] = [depth - 1, at + 1, `${out} `];
    else if (depth === 0 && two === "//") {
      const end = code.slice(at).search(/[\n\v\f\r\u0085\u2028\u2029]/);
      at = end < 0 ? code.length : at + end;
      out += "\n";
    } else if (depth === 0) out += code[at];
  }
  return out;
}
