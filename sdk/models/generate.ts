import { checkFields } from "../arguments.ts";
import { largestOf } from "../extremes.ts";
import { throwIfAborted } from "../abort.ts";
import { raise } from "../errors.ts";
import { type CapturedPlan, record } from "../gpu/mod.ts";
import type { KVCache } from "../nn/mod.ts";
import { argmax, sample, stridedCopy } from "../ops/mod.ts";
import { keep, scope, Tensor } from "../tensor/mod.ts";
import type { CausalLM } from "./causal_lm.ts";
import { decide, type GenerateOptions } from "./generate_options.ts";
import { firstNonFinite } from "./non_finite.ts";
import { checkLength, checkPrompts } from "./prompts.ts";

export type { GenerateOptions };

/** What was generated. */
export interface Generation {
  /** The new ids of each row. */
  readonly ids: number[][];
  /** The seed that ids were drawn with: with it, the same model and prompts give the same ids. */
  readonly seed?: number;
  /** Milliseconds until the first token: the whole prompt. */
  readonly promptMs: number;
  /** Milliseconds of each further token. */
  readonly tokenMs: readonly number[];
}

/**
 * Generates ids after prompts. Greedily, each step takes the id with the largest logit (the first of equals); with
 * `sampling`, or where the model's generation_config.json has `do_sample`, ids are drawn.
 *
 * Rows of different length are padded on the left; padding is never attended to.
 *
 * @param prompts Token ids of each row; at least one each.
 * @throws KW-GENERATE-PROMPT, KW-GENERATE-OPTION, KW-GENERATE-CONFIG, KW-SAMPLE-OPTION, KW-CACHE-FULL before anything
 * runs; KW-GENERATE-NONFINITE at the first step whose logits hold NaN or +∞, or nothing finite; KW-ABORTED.
 *
 * @example
 * ```ts
 * import { generate, loadCausalLM, loadTokenizer } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * using model = await loadCausalLM("./model");
 * const tokenizer = await loadTokenizer("./model");
 * const prompt = tokenizer!.encode("once upon a time");
 * const { ids } = await generate(model, [prompt], { maxNewTokens: 4 });
 * console.log(tokenizer!.decode(ids[0]));
 * assertEquals(ids[0].length, 4);
 * ```
 */
export async function generate(
  model: CausalLM,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions,
): Promise<Generation> {
  checkFields("generate(): model", model, { config: "an object", makeCache: "a function" });
  throwIfAborted(options?.signal, "generating");
  const { eos, sampling } = decide(model, options);
  checkPrompts(model.config, prompts);
  const { maxNewTokens, signal } = options;
  const seed = sampling?.seed;
  const ids: number[][] = prompts.map(() => []);
  if (prompts.length === 0 || maxNewTokens === 0) return { ids, seed, promptMs: 0, tokenMs: [] };

  const { device } = model;
  const width = largestOf(prompts.map((p) => p.length), 0);
  checkLength(model.config, width, maxNewTokens);
  // The last new token is never fed back.
  using cache = model.makeCache({ batch: prompts.length, maxLength: width + maxNewTokens - 1, device });
  // What the last step was run on; [batch, width], then [batch, 1].
  const rows = prompts.map((p) => [...new Array<number>(width - p.length).fill(0), ...p]);
  let fed = Int32Array.from(rows.flat());
  let starts: Tensor | undefined;
  let step: Tensor | undefined;
  let plan: CapturedPlan<Tensor> | undefined;
  const logitsOf = (ids: Tensor) => model.call(ids, { cache, starts, logits_to_keep: 1 });
  // An id of −1 says that there is none to choose: the logits need not be read to know.
  const forward = (ids: Tensor) => {
    const logits = logitsOf(ids);
    if (!sampling) return argmax(logits, -1, true);
    const last = logits.reshape([prompts.length, model.config.vocab_size]);
    return sample(last, cache.position, sampling, true).reshape([prompts.length, 1]);
  };
  const done = prompts.map(() => false);
  const times: number[] = [];
  try {
    if (prompts.some((p) => p.length !== width)) {
      starts = Tensor.from(Int32Array.from(prompts.map((p) => width - p.length)), { device });
    }
    step = Tensor.from(fed, { shape: [prompts.length, width], device });
    while (times.length < maxNewTokens && done.includes(false)) {
      throwIfAborted(signal, "generating");
      const began = performance.now();
      let next: Tensor;
      if (cache.length > 0 && cache.length === model.config.restart_after) {
        // What the cache holds is of no use to a longer text: all of it runs once more.
        plan?.dispose();
        plan = undefined;
        step.dispose();
        cache.rewind(cache.length);
        fed = Int32Array.from(rows.flat());
        step = Tensor.from(fed, { shape: [prompts.length, rows[0].length], device });
      }
      if (plan && !plan.current) { // kernels were put in or taken out: record what runs now
        plan.dispose();
        plan = undefined;
      }
      if (plan) next = plan.replay();
      else if (options.capture && cache.length > 0 && device === "webgpu") {
        const ids = step; // [batch, 1]: each replay leaves the next ids here
        plan = record(() => feedBack(ids, forward(ids)));
        next = plan.result;
      } else {
        const ids = step;
        next = keep(scope(() => forward(ids)));
        step.dispose();
        step = next; // fed back without leaving the device
      }
      const chosen = [...await next.data()];
      times.push(performance.now() - began);
      const none = chosen.findIndex((id, row) => id < 0 && !done[row]);
      if (none >= 0) {
        return await notFinite(model, none, times.length, cache, fed, prompts.length, logitsOf);
      }
      fed = Int32Array.from(chosen, (id) => Math.max(id, 0)); // a row that has ended may go on to nonsense
      rows.forEach((row, i) => row.push(fed[i]));
      if (!plan && chosen.some((id) => id < 0)) {
        step.dispose();
        step = Tensor.from(fed, { shape: [prompts.length, 1], device });
      }
      const told = chosen.map((id, row) => done[row] ? undefined : id);
      told.forEach((id, row) => {
        if (id === undefined) return;
        ids[row].push(id);
        done[row] = eos.has(id);
      });
      options.onToken?.(told);
      if (signal && device === "reference") await turn(); // nothing else lets a timer abort it
    }
  } finally {
    plan?.dispose();
    step?.dispose();
    starts?.dispose();
  }
  return { ids, seed, promptMs: times[0] ?? 0, tokenMs: times.slice(1) };
}

// ---------------------------------------------------------------------------

/** Runs the last step once more, to tell where its numbers ceased to be finite. */
async function notFinite(
  model: CausalLM,
  row: number,
  steps: number,
  cache: KVCache,
  fed: Int32Array<ArrayBuffer>,
  rows: number,
  logitsOf: (ids: Tensor) => Tensor,
): Promise<never> {
  const tokens = fed.length / rows;
  cache.rewind(tokens);
  using ids = Tensor.from(fed, { shape: [rows, tokens], device: cache.position.device });
  const site = await firstNonFinite(model, () => logitsOf(ids));
  raise(
    "KW-GENERATE-NONFINITE",
    `Cannot choose token ${steps} of row ${row}: its logits hold NaN or +∞, or nothing finite. ` +
      (site === undefined
        ? "Run once more, every module's output was finite: a kernel does not compute the same each time"
        : `The first module whose output is not finite is ${JSON.stringify(site)}`),
    'Look at its weights (load with nonFinite: "error") and its kernel; where f16 overflows, load with dtype: "f32".',
    site === undefined ? undefined : { site },
  );
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function feedBack(ids: Tensor, next: Tensor): Tensor {
  const whole = { offset: 0, strides: [1] };
  stridedCopy(ids, next, { shape: [ids.size], source: whole, target: whole });
  return next;
}
