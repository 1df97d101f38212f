import { checkArgument, checkFunction } from "./arguments.ts";
import { ERROR_CODES, type ErrorCode } from "./error_codes.ts";

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

/** The only error that this SDK throws. The data is in {@linkcode KernelwrightError.diagnostic}. */
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

/** Shorthand for `throw new KernelwrightError(…)` with the parts in reading order. */
export function raise(code: ErrorCode, what: string, fix?: string, where?: Where, cause?: unknown): never {
  throw new KernelwrightError({ code, what, fix, where }, cause);
}

/** Runs `fn`; errors made inside know where they were (the inner context wins over the outer one). */
export function inContext<T>(where: Where, fn: () => T): T {
  checkFunction("inContext(): fn", fn);
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
 * Draws a diagnostic as text.
 *
 * @param color Whether to use ANSI colours.
 */
export function renderDiagnostic(d: Diagnostic, color = false): string {
  d = usable(d);
  const paint = (code: string, text: string) => color ? `\x1b[${code}m${text}\x1b[0m` : text;
  const head = [paint("1;31", d.code), describeWhere(d.where)].filter(Boolean).join("  ");
  const lines = [head, `  ${indent(d.what)}`];
  if (d.excerpt && d.where?.line) lines.push(["", ...drawExcerpt(d.excerpt, d.where), ""].join("\n"));
  for (const note of d.notes ?? []) lines.push(`  ${indent(note)}`);
  if (d.fix) lines.push(`  ${paint("36", indent(d.fix))}`);
  return lines.join("\n");
}

/**
 * The candidate closest to `name` by edit distance, or undefined when none is close.
 *
 * At most a third of the letters may differ.
 */
export function closest(name: string, candidates: Iterable<string>): string | undefined {
  checkArgument("closest(): name", name, "a string");
  checkArgument("closest(): candidates", candidates, "things to go through");
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    if (typeof candidate !== "string") continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** `Did you mean "x"?`, or the known names, or nothing. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  checkArgument("didYouMean(): candidates", candidates, "things to go through");
  const known = [...candidates].filter((c) => typeof c === "string");
  const near = closest(name, known);
  if (near !== undefined) return `Did you mean ${JSON.stringify(near)}?`;
  if (known.length === 0) return "";
  const shown = known.slice(0, 8).map((k) => JSON.stringify(k)).join(", ");
  return `Known: ${shown}${known.length > 8 ? `, and ${known.length - 8} more` : ""}.`;
}

// ---------------------------------------------------------------------------

const contexts: Where[] = [];

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
  return parts.join(" ");
}

function drawExcerpt(excerpt: Excerpt, where: Where): string[] {
  const all = excerpt.text.split("\n");
  const line = where.line!;
  const width = String(line).length;
  const out: string[] = [];
  for (let n = Math.max(1, line - 1); n <= Math.min(all.length, line); n++) {
    out.push(`    ${String(n).padStart(width)} │ ${all[n - 1]}`);
  }
  const pad = " ".repeat(Math.max(0, (where.column ?? 1) - 1));
  out.push(`    ${" ".repeat(width)} │ ${pad}${"^".repeat(Math.max(1, excerpt.length))}`);
  return out;
}

function indent(text: string): string {
  return text.replaceAll("\n", "\n  ");
}

function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + cost));
    }
    row = next;
  }
  return row[b.length];
}
