/**
 * Which of an entry's kernels serves a site.
 *
 *   device properties (the narrowest that fits first) ─► mode, in the fallback order ─► what the kernel requires
 *   and accepts ─► the first that passes; for each of the others, the reason why not
 */
import {
  type Capabilities,
  type KernelClass,
  type KernelDefinition,
  kernelDefinition,
  unmetRequirements,
} from "../../authoring/mod.ts";
import { raise } from "../../errors.ts";
import type { Module } from "../../nn/mod.ts";
import type { AdapterInfo } from "../../gpu/mod.ts";
import type { DType } from "../../tensor/mod.ts";
import type { Candidate } from "../config/choice.ts";
import type { DeviceMatch } from "../config/config.ts";
import { type Mode, MODE_FALLBACK } from "../config/mode.ts";

/** What kernels are chosen for. */
export interface Target {
  /** What the model is run for. */
  readonly mode: Mode;
  /** The device's features and limits; undefined when none has been opened (then nothing is held against them). */
  readonly device?: Capabilities & { readonly info: AdapterInfo };
}

/** What became of one candidate at one site. */
export interface Considered {
  /** The kernel's name. */
  readonly kernel: string;
  /** The kernel's version, if it has one. */
  readonly version?: string;
  /** Whether it was taken. */
  readonly taken: boolean;
  /** Why it was taken, or why not. */
  readonly why: string;
}

/** What was chosen for a site. */
export interface Selection {
  /** The kernel, or undefined when none fits. */
  readonly kernel?: KernelDefinition;
  /** Other kernels that fit as well: only a measurement can tell which is best. */
  readonly rivals: readonly KernelDefinition[];
  /** Every candidate, in the order in which they were considered. */
  readonly considered: readonly Considered[];
}

/**
 * Chooses for one site.
 *
 * @param resolve The class of a candidate.
 * @param check Raises where a kernel is not written for the modules at the site: before it is asked anything.
 */
export function selectKernel(
  candidates: readonly Candidate[],
  parts: readonly Module[],
  target: Target,
  resolve: (c: Candidate) => KernelClass,
  check: (definition: KernelDefinition) => void,
): Selection {
  const order = MODE_FALLBACK[target.mode];
  const ranked = candidates
    .map((candidate, index) => ({ candidate, index, rank: order.indexOf(candidate.mode) }))
    // Later candidates go before earlier ones of equal rank, as everywhere in a config.
    .sort((a, b) => compareDevices(a, b) || compareModes(a, b) || b.index - a.index);
  const considered: Considered[] = [];
  let kernel: KernelDefinition | undefined;
  let best: Ranked | undefined;
  const rivals: KernelDefinition[] = [];
  for (const one of ranked) {
    const { candidate, rank } = one;
    const definition = kernelDefinition(resolve(candidate));
    check(definition);
    const reasons = [
      ...deviceMismatch(candidate.device, target),
      ...(rank < 0 ? [`it is for ${candidate.mode}, and the mode is ${target.mode}`] : []),
      ...refusals(definition, parts, target),
    ];
    const { name, version } = definition;
    if (reasons.length > 0) considered.push({ kernel: name, version, taken: false, why: reasons.join("; ") });
    else if (kernel) {
      considered.push({ kernel: name, version, taken: false, why: whyNot(kernel.name, best!, one) });
      const known = definition === kernel || rivals.includes(definition);
      if (!known && compareDevices(best!, one) === 0 && compareModes(best!, one) === 0) {
        rivals.push(definition);
      }
    } else {
      [kernel, best] = [definition, one];
      considered.push({ kernel: name, version, taken: true, why: whyTaken(candidate, target) });
    }
  }
  return { kernel, rivals, considered };
}

// ---------------------------------------------------------------------------

interface Ranked {
  readonly candidate: Candidate;
  /** Its place in the config. */
  readonly index: number;
  /** Its place in the mode's fallback order; negative when it cannot serve the mode. */
  readonly rank: number;
}

/** The narrower first: the one with more conditions; of equally many, the one whose limits are higher. */
function compareDevices(a: Ranked, b: Ranked): number {
  const [x, y] = [a.candidate.device ?? {}, b.candidate.device ?? {}];
  return narrowness(y) - narrowness(x) || (atLeast(y, x) ? 1 : 0) - (atLeast(x, y) ? 1 : 0);
}

function narrowness(m: DeviceMatch): number {
  return (m.vendor ? 1 : 0) + (m.architecture ? 1 : 0) + (m.features?.length ?? 0) +
    Object.keys(m.limits ?? {}).length;
}

/** Whether each limit of `low` is asked for by `high` too, and as high at least. */
function atLeast(high: DeviceMatch, low: DeviceMatch): boolean {
  return Object.entries(low.limits ?? {}).every(([name, least]) => (high.limits?.[name] ?? -1) >= least);
}

function compareModes(a: Ranked, b: Ranked): number {
  const place = (rank: number) => rank < 0 ? MODE_FALLBACK.inference.length : rank;
  return place(a.rank) - place(b.rank);
}

function whyNot(winner: string, best: Ranked, one: Ranked): string {
  if (compareDevices(best, one) !== 0) return `${winner} is meant more narrowly for this device`;
  return compareModes(best, one) !== 0
    ? `${winner} is for ${best.candidate.mode}, which takes precedence over ${one.candidate.mode}`
    : `${winner} fits equally well and is given later`;
}

function deviceMismatch(m: DeviceMatch | undefined, target: Target): string[] {
  if (!m) return [];
  if (!target.device) return ["no device is open to compare with"];
  const { info } = target.device;
  const out: string[] = [];
  const differs = (want: string | undefined, has: string) =>
    want !== undefined && want.toLowerCase() !== has.toLowerCase();
  if (differs(m.vendor, info.vendor)) {
    out.push(`it is for the vendor "${m.vendor}", and this is "${info.vendor}"`);
  }
  if (differs(m.architecture, info.architecture)) {
    out.push(`it is for the architecture "${m.architecture}", and this is "${info.architecture}"`);
  }
  return [...out, ...unmetRequirements({ features: m.features, limits: m.limits }, target.device, [])];
}

function refusals(definition: KernelDefinition, parts: readonly Module[], target: Target): string[] {
  const dtypes: DType[] = parts.flatMap((p) => [...p.namedParameters()].map(([, q]) => q.dtype));
  const device = target.device ?? { features: ALL, limits: UNLIMITED };
  const out = unmetRequirements(definition.requires, device, dtypes);
  for (const accepts of [definition.layout?.accepts, definition.accepts]) {
    const said = accepts && asked(definition, () => accepts(...parts));
    if (said === false) out.push(`${definition.name} does not accept this instance`);
    else if (typeof said === "string") out.push(said);
  }
  return out;
}

function asked<T>(definition: KernelDefinition, fn: () => T): T {
  try {
    return fn();
  } catch (cause) {
    raise(
      "KW-KERNEL-ACCEPTS",
      `accepts of ${definition.name} failed: ${String(cause)}`,
      "Return true, false, or the reason why not.",
      { kernel: definition.name },
      cause,
    );
  }
}

const ALL = { has: () => true } as unknown as ReadonlySet<string>;
const UNLIMITED = new Proxy({}, { get: () => Infinity }) as Record<string, number>;

function whyTaken(c: Candidate, target: Target): string {
  const parts = [];
  if (c.device) parts.push("it is meant for this device");
  if (c.mode !== "fallback") {
    parts.push(
      c.mode === target.mode ? `it is for ${c.mode}` : `it is for ${c.mode}, which serves ${target.mode}`,
    );
  }
  return parts.join(", ") || "it is the kernel of the entry";
}
