import { throwIfAborted } from "../abort.ts";
import { collectPipelines, openGpu, type PipelineUse, warmPipelines } from "../gpu/mod.ts";
import { argmax, bestAtOnce, choiceOf, collectProducts, probeProducts } from "../ops/mod.ts";
import { currentTracer, keep, scope, Tensor, withTracer } from "../tensor/mod.ts";
import type { CausalLM } from "./causal_lm.ts";

/** What {@linkcode CausalLM.ready} may be told. */
export interface ReadyOptions {
  /**
   * Lengths of prompts to be ready for; 1 is a step of a generation. Operators choose their shaders by length, so
   * that a length far from all of these may compile one more. 1, 2, 4, 8, 16 and 64 unless told.
   */
  readonly tokens?: readonly number[];
  /**
   * Whether to measure how products run fastest on this adapter, for the classes of sizes that are not known; at most
   * a second or two, and once: results are kept in the user's cache. True unless told.
   */
  readonly probe?: boolean;
  /** Stops it after the shader or the run that is at work when it is aborted. What has been compiled stays. */
  readonly signal?: AbortSignal;
}

/** Compiles and runs once every pipeline that a model's forward needs; see {@linkcode CausalLM.ready}. */
export async function makeReady(
  model: CausalLM,
  { tokens = [1, 2, 4, 8, 16, 64], probe = true, signal }: ReadyOptions,
): Promise<void> {
  throwIfAborted(signal, WHAT);
  await openGpu();
  const lengths = tokens.filter((n) => n <= model.config.max_position_embeddings);
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
  if (model.device === "webgpu") await runOnce(model, signal);
}

const WHAT = "making the model ready";

/** After that many milliseconds no further class of products is measured; what is left is chosen by rule. */
const PROBE_MS = 1000;

// ---------------------------------------------------------------------------

/** The pipelines of one length, found by a run on meta: shapes flow, nothing is computed. */
function pipelinesOf(model: CausalLM, length: number): PipelineUse[] {
  const uses: PipelineUse[] = [];
  const forward = () => {
    const ids = Tensor.empty([1, length], { dtype: "i32", device: "meta" });
    // Attention cuts long caches into chunks, with shaders of their own.
    for (const maxLength of new Set([length, model.config.max_position_embeddings])) {
      const cache = model.makeCache({ maxLength, device: "meta" });
      argmax(model.call(ids, { cache, logits_to_keep: 1 }), -1, true);
    }
    argmax(model.call(ids, { logits_to_keep: 1 }), -1, true);
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
async function runOnce(model: CausalLM, signal: AbortSignal | undefined): Promise<void> {
  using cache = model.makeCache({ maxLength: 3 });
  for (const length of [2, 1]) {
    throwIfAborted(signal, WHAT);
    using next = keep(scope(() => {
      const ids = Tensor.zeros([1, length], { dtype: "i32" });
      return bestAtOnce(() => argmax(model.call(ids, { cache, logits_to_keep: 1 }), -1, true));
    }));
    await next.data();
  }
}
