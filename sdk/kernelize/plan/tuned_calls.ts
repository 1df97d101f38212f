/** What a swapped site knows of its tuned constants, and how a call of it is told from others. */
import { type Constants, type KernelDefinition, withTuned } from "../../authoring/mod.ts";
import { type AdapterInfo, collectPipelines, type PipelineRequest } from "../../gpu/mod.ts";
import type { Module } from "../../nn/mod.ts";
import { isPlain, isTree, mapTensors, Tensor } from "../../tensor/mod.ts";
import { snapshot } from "../prove/snapshot.ts";
import { runOnMeta } from "../prove/trace.ts";

/** What came of tuning one kind of call of a site. */
export interface TunedCall {
  /** Its kind, see {@linkcode callClass}. */
  readonly call: string;
  /** The constants that it runs with. */
  readonly constants: Constants;
  /** Whether they were measured now, or remembered. */
  readonly from: "measured" | "cache";
  /** Milliseconds of a call with them. */
  readonly ms: number;
  /** Milliseconds of a call with the kernel's defaults. */
  readonly defaultMs: number;
  /** How many combinations were timed now. */
  readonly measured: number;
  /** Combinations that were not, each with the reason. */
  readonly dropped: readonly DroppedConstants[];
}

/** A combination that cannot be used. */
export interface DroppedConstants {
  /** The constants. */
  readonly constants: Constants;
  /** Why: it does not compile, is beyond a limit, or gives other numbers. */
  readonly why: string;
}

/** The tuned constants of a site. The one thing of a plan that changes once it is made. */
export interface SiteTuning {
  /** By kind of call, see {@linkcode callClass}. */
  readonly chosen: Map<string, TunedCall>;
  /** Arguments of a call of each kind that a trace came by. */
  readonly traced: Map<string, readonly unknown[]>;
  /** Go before all others: see {@linkcode withConstants}. */
  fixed?: Constants;
}

/** One kind of call of a site. */
export interface TuneCase {
  /** Its kind. */
  readonly call: string;
  /** What its winner is kept under. */
  readonly key: string;
  /** The constants that forward asks for, with its own values. */
  readonly defaults: Constants;
}

/**
 * The kind of a call: what may be tuned apart from other calls. Calls of one kind take tensors of the same dtypes and
 * ranks, at the top or in plain objects, whose sizes differ by less than a factor of two in each dimension (they are
 * rounded up to a power of two), and the same kinds of other objects. Numbers, texts and flags make no difference.
 */
export function callClass(args: readonly unknown[]): string {
  let text = "";
  for (const a of args) {
    const part = classOf(a);
    if (part) text += text ? `, ${part}` : part;
  }
  return text;
}

/** A kernel's forward for a site's calls, with the constants that are known to be best. */
export function tunedForward(
  kernel: KernelDefinition,
  self: Module,
  tuning: SiteTuning | undefined,
): (args: readonly unknown[]) => unknown {
  const { forward } = kernel.cls.prototype;
  if (!kernel.tune || !tuning) return (args) => withTuned(kernel, undefined, () => forward.apply(self, args));
  const { chosen } = tuning;
  const known = (args: readonly unknown[]) =>
    tuning.fixed ?? (chosen.size === 0 ? undefined : chosen.get(callClass(args))?.constants);
  return (args) => withTuned(kernel, known(args), () => forward.apply(self, args));
}

/** Runs `fn`, in which every call of a site takes these constants, e.g. to test them. */
export function withConstants<T>(tuning: SiteTuning, constants: Constants, fn: () => T): T {
  const before = tuning.fixed;
  tuning.fixed = constants;
  try {
    return fn();
  } finally {
    tuning.fixed = before;
  }
}

/** Runs forward on meta to see what it asks for and which shaders it uses; `self` is not looked at after a wait. */
export async function caseOf(
  kernel: KernelDefinition,
  self: Module,
  args: readonly unknown[],
  adapter: AdapterInfo,
): Promise<TuneCase> {
  const { requests, asked } = traceCall(kernel, self, args, undefined);
  const names = Object.keys(kernel.tune ?? {}).filter((name) => asked.has(name));
  const defaults = Object.fromEntries(names.map((name) => [name, asked.get(name)!]));
  const shaders = [...new Set(requests.map((r) => `${r.variant.entryPoint}\n${r.variant.code}`))].sort();
  const call = callClass(args);
  const parameters = [...self.namedParameters()].map(([, p]) => classOf(p)).join(", ");
  const key = [
    [adapter.vendor, adapter.architecture, adapter.device, adapter.description].join(" "),
    `${kernel.name}@${kernel.version ?? ""}`,
    // The forward too: what it does with a constant may change while the shaders stay.
    await digest(JSON.stringify([shaders, defaults, kernel.tune, String(kernel.cls.prototype.forward)])),
    `${parameters} → ${call}`,
  ].join(" | ");
  return { call, key, defaults };
}

/** The pipelines that a call with some constants needs, and the constants that it asks for. */
export function traceCall(
  kernel: KernelDefinition,
  self: Module,
  args: readonly unknown[],
  values: Constants | undefined,
): { requests: PipelineRequest[]; asked: Map<string, number> } {
  const requests: PipelineRequest[] = [];
  const asked = new Map<string, number>();
  const given = args.map((a) =>
    isTree(a) ? mapTensors(a, (t) => Tensor.empty(t.shape, { dtype: t.dtype, device: "meta" })) : a
  );
  // A cache among the arguments must not be longer for it.
  const before = snapshot(
    args.flatMap((a) => typeof a === "object" && a && !(a instanceof Tensor) ? [["", a] as const] : []),
  );
  try {
    const run = () => withTuned(kernel, values, () => kernel.cls.prototype.forward.apply(self, given), asked);
    collectPipelines((request) => requests.push(request), () => runOnMeta(run));
  } finally {
    before.restore();
  }
  return { requests, asked };
}

/** `TILE=64 (1.80×), TILE=32 (the defaults)`: each choice once, with how much faster than the defaults it is. */
export function describeTuned(calls: readonly TunedCall[]): string {
  const best = new Map<string, number>();
  for (const { constants, ms, defaultMs } of calls) {
    const text = Object.entries(constants).map(([name, value]) => `${name}=${value}`).join(" ");
    best.set(text, Math.max(best.get(text) ?? 1, ms > 0 ? defaultMs / ms : 1));
  }
  return [...best].map(([text, gain]) => `${text} (${gain > 1 ? `${gain.toFixed(2)}×` : "the defaults"})`)
    .join(", ");
}

// ---------------------------------------------------------------------------

function classOf(value: unknown): string {
  if (value instanceof Tensor) {
    let text = `${value.dtype}[`;
    for (let i = 0; i < value.shape.length; i++) text += `${i > 0 ? "," : ""}${roundedUp(value.shape[i])}`;
    return `${text}]`;
  }
  if (typeof value !== "object" || value === null) return "";
  if (Array.isArray(value)) return `[${value.map(classOf).join(", ")}]`;
  if (!isPlain(value)) return value.constructor?.name ?? "object";
  let text = "";
  for (const [key, held] of Object.entries(value)) {
    const part = classOf(held);
    if (part) text += `${text && ", "}${key}: ${part}`;
  }
  return text && `{${text}}`;
}

function roundedUp(size: number): number {
  return size < 2 ? size : 2 ** Math.ceil(Math.log2(size));
}

async function digest(text: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
