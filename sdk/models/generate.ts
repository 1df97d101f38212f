import { largestOf } from "../extremes.ts";
import { checkArgument, checkFields } from "../arguments.ts";
import { raise } from "../errors.ts";
import { type CapturedPlan, record } from "../gpu/mod.ts";
import { argmax, checkSampleOptions, sample, type SampleOptions, stridedCopy } from "../ops/mod.ts";
import { keep, scope, Tensor } from "../tensor/mod.ts";
import type { CausalLM } from "./causal_lm.ts";

/** How much is generated, and where it stops. */
export interface GenerateOptions {
  /** The most new tokens of each row. */
  readonly maxNewTokens: number;
  /** Ids that end a row, themselves included in the result; the config's unless told. */
  readonly eosTokenIds?: readonly number[];
  /** How ids are drawn, on the device; greedily unless told. A seed that is not told is chosen, and returned. */
  readonly sampling?: SampleOptions;
  /** Whether the steps after the prompt are captured once and replayed: faster, the same numbers. */
  readonly capture?: boolean;
  /** Told of each step: the new id of each row, or undefined for a row that has ended. */
  readonly onToken?: (ids: readonly (number | undefined)[]) => void;
}

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
 * Greedy generation unless `sampling` is given: each step takes the id with the largest logit (the first of equals).
 *
 * Rows of different length are padded on the left; padding is never attended to.
 *
 * @param prompts Token ids of each row; at least one each.
 * @throws KW-GENERATE-PROMPT, KW-SAMPLE-OPTION, KW-CACHE-FULL before anything runs.
 */
export async function generate(
  model: CausalLM,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions,
): Promise<Generation> {
  checkFields("generate(): model", model, { config: "an object", makeCache: "a function" });
  checkArgument("generate(): prompts", prompts, "an array");
  for (const p of prompts) checkArgument("generate(): a prompt", p, "an array");
  checkFields("generate(): options", options, { maxNewTokens: "a number" });
  checkPrompts(model, prompts);
  const { maxNewTokens } = options;
  const sampling = options.sampling && { ...options.sampling, seed: options.sampling.seed ?? anySeed() };
  if (sampling) checkSampleOptions(sampling);
  const seed = sampling?.seed;
  const eos = new Set(options.eosTokenIds ?? model.config.eos_token_ids);
  const ids: number[][] = prompts.map(() => []);
  if (prompts.length === 0 || maxNewTokens <= 0) return { ids, seed, promptMs: 0, tokenMs: [] };

  const device = model.model.embed_tokens.weight.device;
  const width = largestOf(prompts.map((p) => p.length));
  checkLength(model, width, maxNewTokens);
  // The last new token is never fed back.
  using cache = model.makeCache({ batch: prompts.length, maxLength: width + maxNewTokens - 1, device });
  const padded = Int32Array.from(
    prompts.flatMap((p) => [...new Array<number>(width - p.length).fill(0), ...p]),
  );
  const starts = prompts.every((p) => p.length === width)
    ? undefined
    : Tensor.from(Int32Array.from(prompts.map((p) => width - p.length)), { device });
  let step = Tensor.from(padded, { shape: [prompts.length, width], device });
  let plan: CapturedPlan<Tensor> | undefined;
  const forward = (ids: Tensor) => {
    const logits = model.call(ids, { cache, starts, logits_to_keep: 1 });
    if (!sampling) return argmax(logits);
    const rows = logits.reshape([prompts.length, model.config.vocab_size]);
    return sample(rows, cache.position, sampling).reshape([prompts.length, 1]);
  };
  const done = prompts.map(() => false);
  const times: number[] = [];
  try {
    while (times.length < maxNewTokens && done.includes(false)) {
      const began = performance.now();
      let next: Tensor;
      if (plan) next = plan.replay();
      else if (options.capture && times.length > 0 && device === "webgpu") {
        const ids = step; // [batch, 1]: each replay leaves the next ids here
        plan = record(() => feedBack(ids, forward(ids)));
        next = plan.result;
      } else {
        next = keep(scope(() => forward(step)));
        step.dispose();
        step = next; // fed back without leaving the device
      }
      const chosen = await next.data();
      times.push(performance.now() - began);
      const told = [...chosen].map((id, row) => done[row] ? undefined : id);
      told.forEach((id, row) => {
        if (id === undefined) return;
        ids[row].push(id);
        done[row] = eos.has(id);
      });
      options.onToken?.(told);
    }
  } finally {
    plan?.dispose();
    step.dispose();
    starts?.dispose();
  }
  return { ids, seed, promptMs: times[0] ?? 0, tokenMs: times.slice(1) };
}

// ---------------------------------------------------------------------------

function anySeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

function feedBack(ids: Tensor, next: Tensor): Tensor {
  const whole = { offset: 0, strides: [1] };
  stridedCopy(ids, next, { shape: [ids.size], source: whole, target: whole });
  return next;
}

/** Past its last position a model writes nonsense without a word. The last new token is never fed back. */
function checkLength({ config }: CausalLM, width: number, maxNewTokens: number): void {
  const most = config.max_position_embeddings + 1 - width;
  if (maxNewTokens <= most) return;
  raise(
    "KW-GENERATE-PROMPT",
    `Cannot generate ${maxNewTokens} tokens after a prompt of ${width}: this model knows ${config.max_position_embeddings} positions`,
    `Ask for at most ${most} (maxNewTokens).`,
  );
}

function checkPrompts(model: CausalLM, prompts: readonly (readonly number[])[]): void {
  const { vocab_size, max_position_embeddings } = model.config;
  prompts.forEach((prompt, row) => {
    const bad = prompt.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= vocab_size);
    if (prompt.length === 0) {
      raise(
        "KW-GENERATE-PROMPT",
        `Cannot generate from an empty prompt (row ${row})`,
        "Begin with the bos token.",
      );
    }
    if (bad >= 0) {
      raise(
        "KW-GENERATE-PROMPT",
        `Cannot generate: id ${prompt[bad]} at position ${bad} of row ${row}`,
        `Ids of this model are 0 to ${vocab_size - 1}.`,
      );
    }
    if (prompt.length > max_position_embeddings) {
      raise(
        "KW-GENERATE-PROMPT",
        `Cannot generate: row ${row} has ${prompt.length} tokens`,
        `This model takes ${max_position_embeddings}.`,
      );
    }
  });
}
