import { throwIfAborted } from "../../abort.ts";
import { checkFields, checkInstance, checkOptions, type OptionNames } from "../../arguments.ts";
import { KernelwrightError, raise } from "../../errors.ts";
import { gpuIfOpen, openedGpu, proveTensors } from "../../gpu/mod.ts";
import { Module } from "../../nn/mod.ts";
import { type DeviceName, keep, type Parameter, Tensor } from "../../tensor/mod.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { checkPlan } from "../plan/check.ts";
import { directMoves } from "../plan/direct_moves.ts";
import { directSinks, type Group, groupSteps } from "../plan/groups.ts";
import type { LoadReport, NonFiniteReport } from "./report.ts";
import { setOrigin } from "../origin.ts";
import { type FileRange, PieceReader, sameBytes } from "./pieces.ts";
import { type LoadPlan, planLoad, type PlanOptions, type Sink } from "../plan/plan.ts";
import type { Step, Value } from "../plan/value.ts";
import type { TensorEntry } from "../safetensors/header.ts";

/** How far a load is. */
export interface LoadProgress {
  /** Bytes read so far. */
  readonly bytes: number;
  /** Bytes to read. */
  readonly totalBytes: number;
  /** The key being read. */
  readonly key: string;
}

const OPTIONS: OptionNames<LoadOptions> = {
  beside: true,
  budget: true,
  conversions: true,
  device: true,
  dtype: true,
  ignore: true,
  mapping: true,
  nonFinite: true,
  onProgress: true,
  signal: true,
  strict: true,
};

/** How a checkpoint is loaded. */
export interface LoadOptions extends PlanOptions {
  /** Where the parameters go; defaults to `webgpu`. */
  readonly device?: "webgpu" | "reference";
  /** Whether missing, unexpected and misshapen tensors are errors; defaults to true. */
  readonly strict?: boolean;
  /** Keys of the checkpoint that need not be in the model. */
  readonly ignore?: (key: string) => boolean;
  /** Keys of the checkpoint that need not be in the model either, and that saving copies from its files as they are. */
  readonly beside?: (key: string) => boolean;
  /** Bytes of host memory for pieces in flight; defaults to 64 MiB. */
  readonly budget?: number;
  /** What to do about NaN and infinity: nothing, name them on stderr and in the report (the default), or fail. */
  readonly nonFinite?: "ignore" | "warn" | "error";
  /** Stops the load before its next piece; the model is as it was. */
  readonly signal?: AbortSignal;
  /** Told after each piece. */
  readonly onProgress?: (progress: LoadProgress) => void;
}

const DEFAULT_BUDGET = 64 * 1024 * 1024;
const LEAST_BUDGET = 64 * 1024;
/**
 * The queue's staging memory is only freed when somebody waits, and drivers take it in blocks: loading 1 GiB held 300 MiB
 * more at the end with a wait each 32 MiB, and 50 MiB with one each 8 MiB. A wait takes 0.3 ms.
 */
const DRAIN_BYTES = 8 * 1024 * 1024;

/**
 * Fills a model's parameters from a checkpoint.
 *
 * Everything that headers can tell is checked before a tensor is read. Then tensors stream in pieces, through the
 * conversions, into new memory; the model gets it when all of it is there. On any error the model is as it was.
 *
 * @throws KW-CHECKPOINT-KEYS, -SHAPE, -DTYPE: the checkpoint is not of this model; KW-CONVERT-…: a conversion cannot
 * work; KW-CHECKPOINT-TRUNCATED, -RANGE, -NONFINITE: found while reading; KW-CHECKPOINT-OPTION; KW-ABORTED; KW-GPU-….
 *
 * @example
 * ```ts
 * import { openGpu } from "@kernelwright/sdk";
 * import { formatLoadReport, loadCheckpoint, openCheckpoint, originOf } from "@kernelwright/sdk/checkpoint";
 * import { buildCausalLM, readConfig } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using model = buildCausalLM(await readConfig("./model"));
 * await using checkpoint = await openCheckpoint("./model");
 * const report = await loadCheckpoint(model, checkpoint);
 * console.log(formatLoadReport(report));
 * assertEquals(originOf(model)?.files.map((f) => f.name), ["model.safetensors"]);
 * ```
 */
export async function loadCheckpoint(
  model: Module,
  checkpoint: Checkpoint,
  options: LoadOptions = {},
): Promise<LoadReport> {
  checkInstance("loadCheckpoint(): model", model, Module);
  checkFields("loadCheckpoint(): checkpoint", checkpoint, { tensors: "a Map" });
  checkOptions("loadCheckpoint(): options", options, OPTIONS);
  const start = performance.now();
  throwIfAborted(options.signal, "loading");
  const budget = options.budget ?? DEFAULT_BUDGET;
  if (!(budget >= LEAST_BUDGET)) {
    raise("KW-CHECKPOINT-OPTION", `The budget is ${budget} bytes`, `Give at least ${LEAST_BUDGET}.`);
  }
  const device = options.device ?? "webgpu";
  const full = planLoad(model, checkpoint.tensors.values(), options);
  const [ignored, beside] = [options.ignore, options.beside].map((is) =>
    full.unexpected.filter((v) => is?.(v.name))
  );
  const left = new Set([...ignored, ...beside]);
  const plan = { ...full, unexpected: full.unexpected.filter((v) => !left.has(v)) };
  checkPlan(plan, checkpoint.name, device, options.strict ?? true);

  const loading = new Loading(plan, device, budget, options);
  try {
    await loading.run();
    await loading.settle();
    throwIfAborted(options.signal, "loading");
    loading.checkFinite(checkpoint.name, options.nonFinite ?? "warn");
  } catch (error) {
    loading.discard();
    throw error;
  }
  loading.commit();
  gpuIfOpen()?.trim();
  const copied = beside.flatMap((v) => v.entry ? [v.entry.key] : []);
  setOrigin(model, checkpoint, options.mapping ?? [], plan.dtype, copied);
  const names = { ignored: ignored.map((v) => v.name), beside: copied };
  return reportOf(plan, names, loading, performance.now() - start);
}

// ---------------------------------------------------------------------------

class Loading {
  readonly nonFinite = new Map<string, NonFiniteReport>();
  bytes = 0;
  readonly #plan: LoadPlan;
  readonly #device: DeviceName;
  readonly #reader: PieceReader;
  readonly #budget: number;
  readonly #signal: AbortSignal | undefined;
  readonly #staged = new Map<Parameter, Tensor>();
  readonly #temporary = new Set<Tensor>();
  #waiting = 0;
  #fence: Tensor | undefined;

  constructor(plan: LoadPlan, device: DeviceName, budget: number, options: LoadOptions) {
    [this.#plan, this.#device, this.#budget, this.#signal] = [plan, device, budget, options.signal];
    const totalBytes = bytesToRead(plan);
    const scan = options.nonFinite !== "ignore";
    this.#reader = new PieceReader(budget, {
      read: ({ key }, bytes) => {
        this.bytes += bytes;
        options.onProgress?.({ bytes: this.bytes, totalBytes, key });
        throwIfAborted(options.signal, "loading");
        return this.#drain(bytes);
      },
      nonFinite: scan ? ({ key }, count, first) => this.#note(key, count, first) : undefined,
    });
  }

  async run(): Promise<void> {
    for (const sink of inFileOrder(directSinks(this.#plan))) {
      throwIfAborted(this.#signal, "loading");
      const target = this.#stage(sink);
      await this.#reader.fill(target, 0, wholeOf(sink.value));
    }
    for (const group of groupSteps(this.#plan)) {
      throwIfAborted(this.#signal, "loading");
      const [step] = group.steps;
      const moves = group.steps.length === 1 && step.inputs.every((v) => v.entry) && directMoves(step.bound);
      if (moves) await this.#stream(group, step, moves);
      else await this.#convert(group);
    }
    for (const { value, same } of this.#plan.tied) await this.#compare(value, same);
  }

  /** Waits for the device and for what it has to say: an error must come before the model changes. */
  async settle(): Promise<void> {
    if (this.#device !== "webgpu") return;
    await this.#wait();
    await proveTensors(this.#staged.values());
    if (this.#fence) this.#free(this.#fence);
  }

  commit(): void {
    for (const [parameter, tensor] of this.#staged) parameter.assign(tensor);
  }

  discard(): void {
    for (const t of [...this.#staged.values(), ...this.#temporary]) t.dispose();
    this.#staged.clear();
    gpuIfOpen()?.trim();
  }

  checkFinite(name: string, what: "ignore" | "warn" | "error"): void {
    const found = [...this.nonFinite.values()];
    if (found.length === 0 || what === "ignore") return;
    const error = new KernelwrightError({
      code: "KW-CHECKPOINT-NONFINITE",
      what: `${found.length} tensors hold NaN or infinity`,
      fix: "Weights that are not numbers give logits that are none; f16 overflows above 65504.",
      where: { file: name, key: found[0].key },
      notes: found.slice(0, 8).map((n) =>
        `${JSON.stringify(n.key)}: ${n.count}, the first at element ${n.first}`
      ),
    });
    if (what === "error") throw error;
    console.warn(error.message);
  }

  /** Each piece goes straight into its slice of the target. */
  async #stream(group: Group, step: Step, moves: NonNullable<ReturnType<typeof directMoves>>): Promise<void> {
    const targets = step.outputs.map((v) => this.#temp(this.#empty(v)));
    for (const { input, output, region } of moves) {
      const { entry } = step.inputs[input];
      const range = { entry: entry as TensorEntry, from: region.source.offset, count: region.shape[0] };
      await this.#reader.fill(targets[output], region.target.offset, range);
    }
    this.#finish(group, new Map(step.outputs.map((v, i) => [v, targets[i]])));
  }

  /** Sources are loaded to the device, converted there, and freed as soon as nothing needs them any more. */
  async #convert(group: Group): Promise<void> {
    const have = new Map<Value, Tensor>();
    const uses = new Map<Value, number>();
    for (const v of group.steps.flatMap((s) => s.inputs)) uses.set(v, (uses.get(v) ?? 0) + 1);
    for (const s of group.sinks) uses.set(s.value, (uses.get(s.value) ?? 0) + 1);
    for (const step of group.steps) {
      for (const v of step.inputs) if (!have.has(v)) have.set(v, await this.#read(v));
      step.bound.run(step.inputs.map((v) => have.get(v)!)).forEach((t, i) => {
        have.set(step.outputs[i], this.#temp(t));
      });
      for (const v of step.inputs) {
        uses.set(v, uses.get(v)! - 1);
        if (uses.get(v) === 0) this.#free(have.get(v)!);
      }
      this.#trim();
    }
    this.#finish(group, have);
    for (const [v, t] of have) if (!group.sinks.some((s) => s.value === v)) this.#free(t);
  }

  #finish(group: Group, have: ReadonlyMap<Value, Tensor>): void {
    for (const sink of group.sinks) {
      const t = have.get(sink.value)!;
      this.#temporary.delete(t);
      const taken = [...this.#staged.values()].includes(t);
      this.#put(sink, taken ? keep(t.reshape(t.shape)) : t);
    }
  }

  async #read(value: Value): Promise<Tensor> {
    const t = this.#temp(this.#empty(value));
    await this.#reader.fill(t, 0, wholeOf(value));
    return t;
  }

  /** A tied parameter's second key must say the same, or one of the two would be lost without a word. */
  async #compare(value: Value, same: Sink): Promise<void> {
    const [entry, other] = [value.entry as TensorEntry, same.value.entry as TensorEntry | undefined];
    if (!other || await sameBytes(entry, other, this.#budget)) return;
    raise(
      "KW-CHECKPOINT-KEYS",
      `The tensor differs from ${JSON.stringify(same.value.name)}, and the model has one parameter for both`,
      "Load it into a model whose head is not tied.",
      { file: entry.source.name, key: value.name, byte: entry.offset },
    );
  }

  #stage(sink: Sink): Tensor {
    const t = this.#empty(sink.value, sink.path);
    this.#put(sink, t);
    return t;
  }

  #put(sink: Sink, t: Tensor): void {
    t.name = sink.path;
    this.#staged.get(sink.parameter)?.dispose();
    this.#staged.set(sink.parameter, t);
  }

  #empty(value: Value, name = value.name): Tensor {
    // keep: nobody's scope may end while this waits for a file
    return keep(Tensor.empty(value.spec.shape, { dtype: value.spec.dtype, device: this.#device, name }));
  }

  #temp(t: Tensor): Tensor {
    this.#temporary.add(keep(t));
    return t;
  }

  #free(t: Tensor): void {
    if (this.#temporary.delete(t)) t.dispose();
  }

  /** Waits until the queue has let go of its copies of what was written: a small readback does. */
  async #drain(bytes: number): Promise<void> {
    this.#waiting += bytes;
    if (this.#device !== "webgpu" || this.#waiting < Math.min(DRAIN_BYTES, this.#budget / 2)) return;
    await this.#wait();
  }

  async #wait(): Promise<void> {
    this.#waiting = 0;
    this.#fence ??= this.#temp(Tensor.zeros([1]));
    await this.#fence.data();
  }

  /** Freed temporaries of many sizes would wait in the pool for tensors of just those sizes. */
  #trim(): void {
    const gpu = openedGpu();
    if (gpu && gpu.pool.stats().pooledBytes > this.#budget) gpu.trim();
  }

  #note(key: string, count: number, first: number): void {
    const before = this.nonFinite.get(key);
    this.nonFinite.set(key, {
      key,
      count: count + (before?.count ?? 0),
      first: Math.min(first, before?.first ?? first),
    });
  }
}

function wholeOf(value: Value): FileRange {
  const entry = value.entry as TensorEntry;
  return { entry, from: 0, count: entry.shape.reduce((a, b) => a * b, 1) };
}

/** So that a disk is read from front to back. */
function inFileOrder(sinks: readonly Sink[]): Sink[] {
  const at = (s: Sink) => s.value.entry as TensorEntry;
  return sinks.toSorted((a, b) =>
    at(a).source !== at(b).source
      ? at(a).source.name < at(b).source.name ? -1 : 1
      : at(a).offset - at(b).offset
  );
}

function bytesToRead(plan: LoadPlan): number {
  const values = [...plan.steps.flatMap((s) => s.inputs), ...directSinks(plan).map((s) => s.value)];
  return values.reduce((n, v) => n + ((v.entry as TensorEntry | undefined)?.bytes ?? 0), 0);
}

function reportOf(
  plan: LoadPlan,
  left: Pick<LoadReport, "ignored" | "beside">,
  loading: Loading,
  ms: number,
): LoadReport {
  return {
    loaded: inFileOrder(directSinks(plan)).map((s) => s.value.entry!.key),
    converted: plan.steps.map((s) => ({
      sources: s.inputs.map((v) => v.entry?.key ?? v.name),
      targets: s.outputs.map((v) => v.name),
      ops: s.bound.rule.ops.map((o) => o.name),
      site: s.site,
    })),
    missing: plan.missing.map((m) => m.key),
    unexpected: plan.unexpected.map((v) => v.name),
    ...left,
    mismatched: plan.mismatched.map(({ key, checkpoint, model }) => ({ key, checkpoint, model })),
    dropped: plan.dropped.map((d) => d.value.name),
    tied: plan.tied.map((t) => ({ key: t.value.name, same: t.same.value.name })),
    unusedRules: plan.unusedRules,
    nonFinite: [...loading.nonFinite.values()],
    dtype: plan.dtype,
    bytes: loading.bytes,
    ms: Math.round(ms),
  };
}
