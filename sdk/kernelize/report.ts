import { largestOf } from "../extremes.ts";
import { checkArgument } from "../arguments.ts";
import { visibleLine } from "../visible.ts";
import { describeRule } from "../authoring/mod.ts";
import type { Difference } from "./verify/compare.ts";
import type { EndToEnd } from "./verify/end_to_end.ts";
import type { SiteTime } from "./verify/run_site.ts";
import type { SiteFindings } from "./verify/verify.ts";
import type { Considered } from "./match/select.ts";
import type { KernelPlan, PlannedSite } from "./plan/plan.ts";
import { describeEntry } from "./match/match.ts";
import { describeTuned, type TunedCall } from "./plan/tuned_calls.ts";

/** What became of one site. */
export interface SiteReport {
  /** The path of the first module. */
  readonly path: string;
  /** The paths of all its modules. */
  readonly paths: readonly string[];
  /** The classes of the original modules. */
  readonly original: readonly string[];
  /** The kernel that runs there; undefined where the original does. */
  readonly kernel?: string;
  /** The kernel's version. */
  readonly version?: string;
  /** Why this kernel, or why none. */
  readonly reason: string;
  /** Every candidate and what became of it. */
  readonly considered: readonly Considered[];
  /** The conversions, as `sources → target: ops`. */
  readonly conversions: readonly string[];
  /** Whether the kernel's forward was run on meta before anything was changed. */
  readonly forwardChecked?: boolean;
  /** Bytes of the site's parameters before and after. */
  readonly bytes?: { readonly before: number; readonly after: number };
  /** The measured differences, where the swap was verified: real activations, outliers, tiny values. */
  readonly differences?: readonly Difference[];
  /** GPU milliseconds of the original and of the kernel, where they were timed. */
  readonly ms?: SiteTime;
  /** The constants that were tuned, by kind of call. */
  readonly tuned?: readonly TunedCall[];
}

/**
 * What kernelize did: a value that prints as a table and serialises as JSON.
 *
 * See the example of {@linkcode kernelize}.
 */
export class KernelReport {
  /** The sites, in tree order. */
  readonly sites: readonly SiteReport[];
  /** Entries or places that lost to others, one sentence each. */
  readonly notes: readonly string[];
  /** How the whole model's result moved, where the swap was verified and the result is one tensor. */
  readonly endToEnd?: EndToEnd;

  /** Wraps what was found. */
  constructor(sites: readonly SiteReport[], notes: readonly string[], endToEnd?: EndToEnd) {
    this.sites = sites;
    this.notes = notes;
    this.endToEnd = endToEnd;
  }

  /** The sites that run a kernel now. */
  get swapped(): readonly SiteReport[] {
    return this.sites.filter((s) => s.kernel !== undefined);
  }

  /** The report of the site at a path: of its first module or of any other part. */
  at(path: string): SiteReport | undefined {
    return this.sites.find((s) => s.paths.includes(path));
  }

  /** Plain data. */
  toJSON(): { sites: readonly SiteReport[]; notes: readonly string[]; endToEnd?: EndToEnd } {
    return { sites: this.sites, notes: this.notes, endToEnd: this.endToEnd };
  }

  /** The table. Sites that differ in nothing but a number in their path share a line. */
  toString(): string {
    const rows = [[
      "site",
      "kernel",
      "max abs",
      "max rel",
      "ulp",
      "off float64 (original)",
      "time",
      "reason",
    ]];
    for (const { label, count, sites } of grouped(this.sites)) {
      const [first] = sites;
      const real = sites.flatMap((s) => s.differences?.filter((d) => d.inputs === "real") ?? []);
      const worst = (pick: (d: Difference) => number | undefined) => {
        const values = real.map((d) => d.nan > 0 ? NaN : pick(d)).filter((v) => v !== undefined);
        return values.length === 0 ? "–" : formatNumber(largestOf(values));
      };
      const errors = [worst((d) => d.kernelError), worst((d) => d.originalError)];
      const failed = sites.flatMap((s) => s.differences?.filter((d) => !d.passed) ?? []);
      rows.push([
        count > 1 ? `${label}  ${count}×` : label,
        first.kernel ?? "–",
        worst((d) => d.absolute),
        worst((d) => d.relative),
        worst((d) => d.ulp),
        errors[0] === "–" ? "–" : `${errors[0]} (${errors[1]})`,
        timeRatio(sites),
        (first.kernel ? first.reason : `not swapped: ${first.reason}`) +
        tunedText(sites) +
        (first.kernel && failed.length > 0
          ? `; differs on ${[...new Set(failed.map((d) => d.inputs))].join(", ")} inputs`
          : ""),
      ]);
    }
    const end = this.endToEnd;
    const last = end
      ? [
        `result: off by ${
          formatNumber(end.absolute)
        }, argmax equal at ${end.sameArgmax} of ${end.positions} positions`,
      ]
      : [];
    return [drawTable(rows), ...last, ...this.notes.map((n) => visibleLine(`note: ${n}`))].join("\n");
  }
}

/** A report of a plan, before anything was measured. */
export function reportOf(
  plan: KernelPlan,
  findings: ReadonlyMap<string, SiteFindings> = new Map(),
  endToEnd?: EndToEnd,
): KernelReport {
  const sites: { order: number; report: SiteReport }[] = [];
  const order = new Map(plan.tree.nodes.map((n, i) => [n.path, i]));
  for (const s of plan.sites) {
    sites.push({ order: order.get(s.path)!, report: siteReport(s, findings.get(s.path)) });
  }
  for (const k of plan.kept) {
    const report: SiteReport = {
      path: k.path,
      paths: k.nodes.map((n) => n.path),
      original: k.nodes.map((n) => n.module.constructor.name),
      reason: k.why,
      considered: k.considered,
      conversions: [],
      ...findings.get(k.path),
    };
    sites.push({ order: order.get(k.path)!, report });
  }
  return new KernelReport(sites.sort((a, b) => a.order - b.order).map((s) => s.report), [
    ...plan.notes,
    ...shadowNotes(plan),
  ], endToEnd);
}

// ---------------------------------------------------------------------------

/** One sentence for each pair of entries, however many layers they meet at. */
function shadowNotes(plan: KernelPlan): string[] {
  const pairs = Map.groupBy(plan.shadowed, ({ site, by }) => `${site.index} ${by.index}`);
  return [...pairs.values()].map((met) => {
    const [{ site, by }] = met;
    const [loser, winner] = [describeEntry(site.entry, site.index), describeEntry(by.entry, by.index)];
    const more = met.length > 1 ? ` and ${met.length - 1} more` : "";
    return `${loser} gives way to ${winner} at "${site.nodes[0].path}"${more}`;
  });
}

function siteReport(s: PlannedSite, findings?: SiteFindings): SiteReport {
  return {
    path: s.path,
    paths: s.nodes.map((n) => n.path),
    original: s.nodes.map((n) => n.module.constructor.name),
    kernel: s.kernel.name,
    version: s.kernel.version,
    reason: s.considered.find((c) => c.taken)!.why,
    considered: s.considered,
    conversions: s.conversions.rules.map((r) => describeRule(r.bound.rule)),
    forwardChecked: s.forwardChecked,
    ...findings,
    ...tunedOf(s),
    bytes: s.bytes,
  };
}

/** What a site's report says of its constants. */
export function tunedOf(site: PlannedSite): Pick<SiteReport, "tuned"> {
  return site.tuning && site.tuning.chosen.size > 0 ? { tuned: [...site.tuning.chosen.values()] } : {};
}

function tunedText(sites: readonly SiteReport[]): string {
  const calls = sites.flatMap((s) => s.tuned ?? []);
  return calls.length > 0 ? `; tuned: ${describeTuned(calls)}` : "";
}

function grouped(sites: readonly SiteReport[]): { label: string; count: number; sites: SiteReport[] }[] {
  const groups = new Map<string, SiteReport[]>();
  for (const s of sites) {
    const generic = s.paths.map((p) => p.replace(/\.\d+(?=\.|$)/g, ".*")).join(" + ");
    const key = [generic, s.kernel, s.reason].join("\n");
    const list = groups.get(key);
    if (list) list.push(s);
    else groups.set(key, [s]);
  }
  return [...groups].map(([key, list]) => ({
    label: list.length > 1 ? key.split("\n")[0] : list[0].paths.join(" + "),
    count: list.length,
    sites: list,
  }));
}

function timeRatio(sites: readonly SiteReport[]): string {
  const timed = sites.map((s) => s.ms).filter((t) => t !== undefined);
  const total = (pick: (t: SiteTime) => number) => timed.reduce((n, t) => n + pick(t), 0);
  return timed.length === 0 ? "–" : `${(total((t) => t.after) / total((t) => t.before)).toFixed(2)}×`;
}

/** Three significant digits, short. */
export function formatNumber(x: number): string {
  checkArgument("formatNumber(): x", x, "a number");
  if (Number.isNaN(x)) return "NaN";
  if (x === 0) return "0";
  return Math.abs(x) >= 0.001 && Math.abs(x) < 10000 ? String(Number(x.toPrecision(3))) : x.toExponential(1);
}

/** Columns of text, aligned; the first row is the head. */
export function drawTable(rows: readonly (readonly string[])[]): string {
  checkArgument("drawTable(): rows", rows, "an array");
  for (const row of rows) checkArgument("drawTable(): a row", row, "strings in an array");
  if (rows.length === 0) return "";
  rows = rows.map((row) => row.map(visibleLine)); // no name forges a line, or steers a terminal
  const widths = rows[0].map((_, c) => largestOf(rows.map((r) => r[c]?.length ?? 0)));
  return rows.map((r) =>
    r.map((cell, c) => c === r.length - 1 ? cell : cell.padEnd(widths[c])).join("  ").trimEnd()
  ).join("\n");
}
