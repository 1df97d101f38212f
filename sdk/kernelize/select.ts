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
} from "../authoring/mod.ts";
import type { Module } from "../nn/mod.ts";
import type { AdapterInfo } from "../gpu/mod.ts";
import type { DType } from "../tensor/mod.ts";
import type { Candidate } from "./choice.ts";
import type { DeviceMatch } from "./config.ts";
import { type Mode, MODE_FALLBACK } from "./mode.ts";

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
  /** Every candidate, in the order in which they were considered. */
  readonly considered: readonly Considered[];
}

/** Chooses for one site. `resolve` gives the class of a candidate. */
export function selectKernel(
  candidates: readonly Candidate[],
  parts: readonly Module[],
  target: Target,
  resolve: (c: Candidate) => KernelClass,
): Selection {
  const order = MODE_FALLBACK[target.mode];
  const ranked = candidates
    .map((candidate, index) => ({
      candidate,
      index,
      width: narrowness(candidate.device),
      rank: order.indexOf(candidate.mode),
    }))
    // Later entries go before earlier ones of equal rank, as everywhere in a config.
    .sort((a, b) => b.width - a.width || rankOf(a.rank) - rankOf(b.rank) || b.index - a.index);
  const considered: Considered[] = [];
  let kernel: KernelDefinition | undefined;
  for (const { candidate, rank } of ranked) {
    const definition = kernelDefinition(resolve(candidate));
    const reasons = [
      ...deviceMismatch(candidate.device, target),
      ...(rank < 0 ? [`it is for ${candidate.mode}, and the mode is ${target.mode}`] : []),
      ...refusals(definition, parts, target),
    ];
    const { name, version } = definition;
    if (reasons.length > 0) considered.push({ kernel: name, version, taken: false, why: reasons.join("; ") });
    else if (kernel) {
      considered.push({ kernel: name, version, taken: false, why: `${kernel.name} fits more narrowly` });
    } else {
      kernel = definition;
      considered.push({ kernel: name, version, taken: true, why: whyTaken(candidate, target) });
    }
  }
  return { kernel, considered };
}

// ---------------------------------------------------------------------------

function rankOf(rank: number): number {
  return rank < 0 ? Infinity : rank;
}

function narrowness(m: DeviceMatch | undefined): number {
  if (!m) return 0;
  return (m.vendor ? 1 : 0) + (m.architecture ? 1 : 0) + (m.features?.length ?? 0) +
    Object.keys(m.limits ?? {}).length;
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
    const said = accepts?.(...parts);
    if (said === false) out.push(`${definition.name} does not accept this instance`);
    else if (typeof said === "string") out.push(said);
  }
  return out;
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
