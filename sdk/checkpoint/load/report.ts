import { checkFields } from "../../arguments.ts";

/** What loading a checkpoint did: a value that serialises as JSON. */
export interface LoadReport {
  /** Keys that went to a parameter as they are. */
  readonly loaded: readonly string[];
  /** Conversions that were made. */
  readonly converted: readonly ConvertedReport[];
  /** Keys of the model that the checkpoint lacks. */
  readonly missing: readonly string[];
  /** Keys of the checkpoint that the model does not know. */
  readonly unexpected: readonly string[];
  /** Keys of the checkpoint that were left out on purpose: what `ignore` says of the unexpected ones. */
  readonly ignored: readonly string[];
  /** Keys of the checkpoint that lie beside the model, such as a task's head: saving copies them from its files. */
  readonly beside: readonly string[];
  /** Tensors whose shape or dtype does not fit, which were left out. */
  readonly mismatched: readonly MismatchReport[];
  /** Keys that a kernel does not need. */
  readonly dropped: readonly string[];
  /** Second keys of a parameter that had its values already. */
  readonly tied: readonly { readonly key: string; readonly same: string }[];
  /** Rules of the mapping that matched nothing. */
  readonly unusedRules: readonly string[];
  /** Tensors that hold NaN or infinity once loaded. */
  readonly nonFinite: readonly NonFiniteReport[];
  /** What floating-point tensors were loaded as, where no parameter said otherwise. */
  readonly dtype: "f32" | "f16";
  /** Bytes read from the files, headers left out. */
  readonly bytes: number;
  /** How long it took, in milliseconds. */
  readonly ms: number;
}

/** One conversion. */
export interface ConvertedReport {
  /** The keys in the file, or what an earlier conversion made of them. */
  readonly sources: readonly string[];
  /** What they became. */
  readonly targets: readonly string[];
  /** The ops, by name. */
  readonly ops: readonly string[];
  /** The kernel's site, where it was for one. */
  readonly site?: string;
}

/** One tensor that does not fit. */
export interface MismatchReport {
  /** Its key. */
  readonly key: string;
  /** What the checkpoint has. */
  readonly checkpoint: string;
  /** What the model wants. */
  readonly model: string;
}

/** One tensor with values that are not finite. */
export interface NonFiniteReport {
  /** Its key. */
  readonly key: string;
  /** How many there are. */
  readonly count: number;
  /** The first one's index, counted through the whole tensor. */
  readonly first: number;
}

/** What a report has, of which {@linkcode formatLoadReport} shows the lengths. */
const REPORT = {
  loaded: "an array",
  converted: "an array",
  missing: "an array",
  unexpected: "an array",
  mismatched: "objects in an array",
  dropped: "an array",
  nonFinite: "objects in an array",
  unusedRules: "an array",
  bytes: "a number",
  ms: "a number",
} as const;

/**
 * The report in a few lines, for people.
 *
 * See the example of {@linkcode loadCheckpoint}.
 */
export function formatLoadReport(report: LoadReport): string {
  checkFields("formatLoadReport(): report", report, REPORT);
  const { loaded, converted, bytes, ms } = report;
  const lines = [
    `${loaded.length} tensors loaded, ${converted.length} conversions, ${
      (bytes / 2 ** 20).toFixed(1)
    } MiB in ${(ms / 1000).toFixed(2)} s, as ${report.dtype}`,
  ];
  const list = (title: string, items: readonly string[]) => {
    if (items.length === 0) return;
    lines.push(`${title} (${items.length}):`);
    for (const item of items.slice(0, 10)) lines.push(`  ${item}`);
    if (items.length > 10) lines.push(`  and ${items.length - 10} more`);
  };
  list("missing", report.missing);
  list("unexpected", report.unexpected);
  list("left out", report.ignored);
  list("mismatched", report.mismatched.map((m) => `${m.key}: ${m.checkpoint}, and the model has ${m.model}`));
  list("dropped", report.dropped);
  list("not finite", report.nonFinite.map((n) => `${n.key}: ${n.count}, the first at element ${n.first}`));
  list("rules that matched nothing", report.unusedRules);
  return lines.join("\n");
}
