import { throwIfAborted } from "../abort.ts";
import { collectPipelines, openGpu, type PipelineUse, warmPipelines } from "../gpu/mod.ts";
import { choiceOf, collectProducts, probeProducts, withoutStandIns } from "../ops/mod.ts";
import { currentTracer, keep, scope, withTracer } from "../tensor/mod.ts";
import type { PretrainedModel } from "./pretrained_model.ts";

/** Options of {@linkcode PretrainedModel.ready}. */
export interface ReadyOptions {
  /**
   * Lengths of prompts to be ready for; 1 is a step of a generation. Operators choose their shaders by length, so
   * that a length far from all of these may compile one more. Defaults to 1, 2, 4, 8, 16 and 64. For a model of
   * images: how many of them come in a batch; defaults to 1.
   */
  readonly tokens?: readonly number[];
  /**
   * Whether to measure how products run fastest on this adapter, for the classes of sizes that are not known; at most
   * a second or two, and once: results are kept in the user's cache. Defaults to true.
   */
  readonly probe?: boolean;
  /** Stops it after the shader or the run that is at work when it is aborted. What has been compiled stays. */
  readonly signal?: AbortSignal;
}

/** Compiles and runs once every pipeline that a model's forward needs; see {@linkcode PretrainedModel.ready}. */
export async function makeReady(
  model: PretrainedModel,
  { tokens, probe = true, signal }: ReadyOptions,
): Promise<void> {
  throwIfAborted(signal, WHAT);
  await openGpu();
  const most = model.config.max_position_embeddings;
  const lengths = most === undefined
    ? tokens ?? [1]
    : (tokens ?? [1, 2, 4, 8, 16, 64]).filter((n) => n <= most);
  const pipelines = () => lengths.flatMap((length) => pipelinesOf(model, length));
  let uses: PipelineUse[] = [];
  const products = collectProducts(() => uses = pipelines());
  if (probe) {
    const before = products.map(choiceOf).join();
    throwIfAborted(signal, WHAT);
    await probeProducts({ products, budgetMs: PROBE_MS });
    if (products.map(choiceOf).join() !== before) uses = pipelines();
  }
  await warmPipelines(uses, () => throwIfAborted(signal, WHAT));
  throwIfAborted(signal, WHAT);
  const parameters = [...model.namedParameters()];
  if (parameters.every(([, p]) => p.device === "webgpu")) await runOnce(model, signal);
}

const WHAT = "making the model ready";

/** After that many milliseconds no further class of products is measured; what is left is chosen by rule. */
const PROBE_MS = 1000;

// ---------------------------------------------------------------------------

/** The pipelines of one length, found by a run on meta: shapes flow, nothing is computed. */
function pipelinesOf(model: PretrainedModel, length: number): PipelineUse[] {
  const uses: PipelineUse[] = [];
  const forward = () => {
    model.rehearse(length, "meta");
  };
  const silent = currentTracer() ?? { op: () => {} };
  withTracer(
    silent,
    () =>
      collectPipelines((request, where, { packed }) => uses.push({ request, where, packed }), forward, true),
  );
  return uses;
}

/** A prompt and a step of a generation: buffers and bind groups are made, and the engine has seen the code. */
async function runOnce(model: PretrainedModel, signal: AbortSignal | undefined): Promise<void> {
  for (const length of [2, 1]) {
    throwIfAborted(signal, WHAT);
    using out = keep(scope(() => withoutStandIns(() => model.rehearse(length, "webgpu"))));
    await out.data();
  }
}
