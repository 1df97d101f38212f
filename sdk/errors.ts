import { ERROR_CODES, type ErrorCode } from "./error_codes.ts";
import { visible, visibleLine } from "./visible.ts";

export { ERROR_CODES, type ErrorCode } from "./error_codes.ts";

/** Where something went wrong. Every field is optional: an error fills in what it knows. */
export interface Where {
  /** The module's path in the tree, e.g. `model.layers.0.mlp`. */
  readonly site?: string;
  /** The kernel's class name. */
  readonly kernel?: string;
  /** The key in the checkpoint. */
  readonly key?: string;
  /** A file's path or name. */
  readonly file?: string;
  /** 1-based line in `file`. */
  readonly line?: number;
  /** 1-based column in `file`. */
  readonly column?: number;
  /** Byte offset in `file`. */
  readonly byte?: number;
  /** The path inside a JSON document, e.g. `kernels[0].with`. */
  readonly json?: string;
  /** The operator that was run. */
  readonly operator?: string;
  /** The name of a tensor or binding. */
  readonly tensor?: string;
  /** What was set where it happened: dtype, constants. */
  readonly variant?: string;
}

/** A piece of source text with a position to point at. */
export interface Excerpt {
  /** The whole text that `Where.line` counts in. */
  readonly text: string;
  /** How many characters to underline; at least 1. */
  readonly length: number;
}

/** An error as data. {@linkcode renderDiagnostic} draws it. */
export interface Diagnostic {
  /** The stable code. */
  readonly code: ErrorCode;
  /** What happened: the action that failed, the value there was, the value that was wanted. */
  readonly what: string;
  /** Where it happened. */
  readonly where?: Where;
  /** What to do about it. */
  readonly fix?: string;
  /** Further facts, one sentence each. */
  readonly notes?: readonly string[];
  /** Source text around `where.line`. */
  readonly excerpt?: Excerpt;
}

/**
 * The only error that this SDK throws. The data is in {@linkcode KernelwrightError.diagnostic}.
 *
 * @example
 * ```ts
 * import { KernelwrightError, Tensor } from "@kernelwright/sdk";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const error = assertThrows(() => Tensor.from([1, 2, 3], { shape: [2, 2] }), KernelwrightError);
 * assertEquals([error.code, error.diagnostic.fix], ["KW-TENSOR-DATA", "That shape has 4 elements."]);
 * ```
 */
export class KernelwrightError extends Error {
  /** The error's name, `KernelwrightError`. */
  override readonly name = "KernelwrightError";
  /** Everything that is known about the error. */
  readonly diagnostic: Diagnostic;

  /**
   * Wraps a diagnostic.
   *
   * @param diagnostic What happened; the surrounding {@linkcode inContext} calls add to its `where`.
   * @param cause The error underneath, if there was one.
   */
  constructor(diagnostic: Diagnostic, cause?: unknown) {
    diagnostic = usable(diagnostic);
    // A field that is undefined must not wipe out what the surroundings know.
    const own = Object.entries(diagnostic.where ?? {}).filter(([, value]) => value !== undefined);
    const where: Where = { ...currentContext(), ...Object.fromEntries(own) };
    const full = { ...diagnostic, where };
    super(renderDiagnostic(full), cause === undefined ? undefined : { cause });
    this.diagnostic = full;
  }

  /** The stable code, e.g. `KW-SHADER-COMPILE`. */
  get code(): ErrorCode {
    return this.diagnostic.code;
  }

  /** The diagnostic as plain data, for `JSON.stringify`. */
  toJSON(): Diagnostic {
    return this.diagnostic;
  }
}

/** Says which object an error is about, for those who know its name. Returns the error. */
export function about<E extends KernelwrightError>(error: E, subject: object): E {
  subjects.set(error, subject);
  return error;
}

/** The object that an error is about, where it was said. */
export function subjectOf(error: unknown): object | undefined {
  return error instanceof KernelwrightError ? subjects.get(error) : undefined;
}

/** Shorthand for `throw new KernelwrightError(…)` with the parts in reading order. */
export function raise(code: ErrorCode, what: string, fix?: string, where?: Where, cause?: unknown): never {
  throw new KernelwrightError({ code, what, fix, where }, cause);
}

/** Runs `fn`; errors made inside know where they were (the inner context wins over the outer one). */
export function inContext<T>(where: Where, fn: () => T): T {
  if (typeof fn !== "function") refuse("inContext(): fn", "a function");
  contexts.push(where);
  try {
    return fn();
  } finally {
    contexts.pop();
  }
}

/** What the surrounding {@linkcode inContext} calls say, merged. */
export function currentContext(): Where {
  return contexts.length === 0 ? {} : Object.assign({}, ...contexts);
}

/**
 * Draws a diagnostic as text. Control characters in it, which may be a stranger's, are shown escaped.
 *
 * @param color Whether to use ANSI colours.
 */
export function renderDiagnostic(d: Diagnostic, color = false): string {
  d = usable(d);
  const paint = (code: string, text: string) => color ? `\x1b[${code}m${text}\x1b[0m` : text;
  const head = [paint("1;31", d.code), describeWhere(d.where)].filter(Boolean).join("  ");
  const lines = [head, `  ${indent(visible(d.what))}`];
  if (d.excerpt && d.where?.line) lines.push(["", ...drawExcerpt(d.excerpt, d.where), ""].join("\n"));
  for (const note of d.notes ?? []) lines.push(`  ${indent(visible(note))}`);
  if (d.fix) lines.push(`  ${paint("36", indent(visible(d.fix)))}`);
  return lines.join("\n");
}

/**
 * The candidate closest to `name` by edit distance, or undefined when none is close.
 *
 * At most a third of the letters may differ. The work is bounded: of very many or very long candidates, as a
 * stranger's file may have, the first ones are looked at.
 */
export function closest(name: string, candidates: Iterable<string>): string | undefined {
  if (typeof name !== "string") refuse("closest(): name", "a string");
  checkIterable("closest(): candidates", candidates);
  if (name.length > LONGEST_NAME) return undefined;
  const wanted = name.toLowerCase();
  const work = { left: MOST_WORK };
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    if (--work.left < 0) break;
    if (typeof candidate !== "string") continue;
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue;
    const distance = editDistance(wanted, candidate.toLowerCase(), bestDistance, work);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** `Did you mean "x"?`, or the known names, or nothing. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  checkIterable("didYouMean(): candidates", candidates);
  const known = [...candidates].filter((c) => typeof c === "string");
  const near = closest(name, known);
  if (near !== undefined) return `Did you mean ${JSON.stringify(near)}?`;
  if (known.length === 0) return "";
  const shown = known.slice(0, 8).map((k) => JSON.stringify(k)).join(", ");
  return `Known: ${shown}${known.length > 8 ? `, and ${known.length - 8} more` : ""}.`;
}

// ---------------------------------------------------------------------------

const contexts: Where[] = [];
const subjects = new WeakMap<KernelwrightError, object>();
/** A name that is longer is not a misspelling. */
const LONGEST_NAME = 300;
/** Cells of distance tables, and candidates: some hundredths of a second. */
const MOST_WORK = 2_000_000;

function refuse(at: string, wanted: string): never {
  raise("KW-ARGUMENT", `Cannot call ${at} is of another kind`, `It must be ${wanted}.`);
}

function checkIterable(at: string, value: unknown): void {
  if (typeof value !== "object" || value === null || !(Symbol.iterator in value)) {
    refuse(at, "things to go through");
  }
}

/** A diagnostic that can be drawn, whatever was given: an error about an error helps nobody. */
function usable(d: Diagnostic): Diagnostic {
  const text = (v: unknown) => typeof v === "string" ? v : v === undefined ? undefined : typeof v;
  if (typeof d !== "object" || d === null) {
    return { code: "KW-ARGUMENT", what: `A diagnostic that is ${typeof d}` };
  }
  const plain = typeof d.where === "object" && d.where !== null && !Array.isArray(d.where);
  const where = plain && Object.values(d.where!).some((v) => typeof v === "symbol" || typeof v === "object")
    ? Object.fromEntries(Object.entries(d.where!).map(([k, v]) => [k, typeof v === "number" ? v : text(v)]))
    : plain
    ? d.where
    : undefined;
  return {
    ...d,
    code: typeof d.code === "string" && Object.hasOwn(ERROR_CODES, d.code) ? d.code : "KW-ARGUMENT",
    what: text(d.what) ?? "Something went wrong",
    where,
    fix: text(d.fix),
    notes: Array.isArray(d.notes) ? d.notes.map((n) => text(n) ?? "") : undefined,
    excerpt: typeof d.excerpt?.text === "string" ? d.excerpt : undefined,
  };
}

function describeWhere(w: Where | undefined): string {
  if (!w) return "";
  const parts: string[] = [];
  if (w.kernel) parts.push(w.kernel);
  if (w.site !== undefined) parts.push(`at ${JSON.stringify(w.site)}`);
  if (w.variant) parts.push(`(${w.variant})`);
  if (w.operator) parts.push(`operator ${JSON.stringify(w.operator)}`);
  if (w.tensor) parts.push(`tensor ${JSON.stringify(w.tensor)}`);
  if (w.key) parts.push(`key ${JSON.stringify(w.key)}`);
  if (w.file) parts.push(w.file + (w.line ? `:${w.line}${w.column ? `:${w.column}` : ""}` : ""));
  if (w.byte !== undefined) parts.push(`byte ${w.byte}`);
  if (w.json) parts.push(w.json);
  return visibleLine(parts.join(" "));
}

function drawExcerpt(excerpt: Excerpt, where: Where): string[] {
  const all = excerpt.text.split("\n");
  const line = where.line!;
  const width = String(line).length;
  const out: string[] = [];
  for (let n = Math.max(1, line - 1); n <= Math.min(all.length, line); n++) {
    out.push(`    ${String(n).padStart(width)} │ ${visible(all[n - 1].replace(/\r$/, ""))}`);
  }
  const pad = " ".repeat(Math.max(0, (where.column ?? 1) - 1));
  out.push(`    ${" ".repeat(width)} │ ${pad}${"^".repeat(Math.max(1, excerpt.length))}`);
  return out;
}

function indent(text: string): string {
  return text.replaceAll("\n", "\n  ");
}

/** The distance, or `limit` where it is that or more. Cells of the table count as work. */
function editDistance(a: string, b: string, limit: number, work: { left: number }): number {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  work.left -= (start + end) / 8;
  [a, b] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    // What is further than `limit` from the diagonal is at least that far apart.
    const [from, to] = [Math.max(1, i - limit), Math.min(b.length, i + limit)];
    const next = new Array<number>(b.length + 1).fill(limit);
    if (from === 1) next[0] = i;
    let least = next[0];
    for (let j = from; j <= to; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + cost);
      least = Math.min(least, next[j]);
    }
    work.left -= to - from + 1;
    if (least >= limit) return limit;
    row = next;
  }
  return Math.min(limit, row[b.length]);
}
