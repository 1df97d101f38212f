import { raise } from "../errors.ts";
import { KVCache, moduleAt } from "../nn/mod.ts";
import { argmax, FLOATS, slice } from "../ops/mod.ts";
import { type DeviceName, type DType, scope, Tensor, withTracer } from "../tensor/mod.ts";
import type { CausalLMConfig } from "./config.ts";
import type { DecoderInputs } from "./decoder.ts";
import type { GenerationConfig } from "./generation_config.ts";
import { PretrainedModel } from "./pretrained_model.ts";

/** What {@linkcode CausalLM.forward} takes besides ids. */
export interface CausalLMInputs extends DecoderInputs {
  /** How many of the last positions get logits; defaults to all. */
  readonly logits_to_keep?: number;
}

/**
 * A model that gives logits for the next token: what `generate` runs. A family's class says how.
 *
 * @example
 * ```ts
 * import { argmax } from "@kernelwright/sdk/ops";
 * import { type CausalLM, loadCausalLM } from "@kernelwright/sdk/models";
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using model: CausalLM = await loadCausalLM("./model");
 * using cache = model.makeCache({ maxLength: 8 });
 * using prompt = Tensor.from([[1, 3, 4]], { dtype: "i32" });
 * using logits = model.call(prompt, { cache, logits_to_keep: 1 }), next = argmax(logits);
 * assertEquals([cache.length, next.shape], [3, [1, 1]]);
 * ```
 */
export abstract class CausalLM extends PretrainedModel {
  /** The checked config.json. */
  abstract override readonly config: CausalLMConfig;
  /** What the folder's generation_config.json says; `generate` goes by it where its caller says nothing. */
  generation_config?: GenerationConfig;

  /** Ids `[batch, tokens]` → hidden states `[batch, tokens, hidden_size]` after the last norm; the cache is not advanced. */
  abstract decode(input_ids: Tensor, inputs: DecoderInputs): Tensor;

  /** Hidden states `[batch, tokens, hidden_size]` → logits `[batch, tokens, vocab_size]`. */
  abstract logits(hidden_states: Tensor): Tensor;

  /** The path of the embedding of tokens, whose output has the arithmetic's dtype. */
  protected abstract readonly embedding: string;

  /**
   * Ids i32 or u32 `[batch, tokens]` → logits `[batch, tokens, vocab_size]`.
   *
   * With a cache, the ids follow the tokens that are in it; they are added to it.
   *
   * @throws KW-TENSOR-SHAPE for other than two dimensions, KW-CACHE-FULL.
   */
  override forward(input_ids: Tensor, inputs: CausalLMInputs = {}): Tensor {
    if (input_ids.rank !== 2) {
      raise(
        "KW-TENSOR-SHAPE",
        `Cannot run the model on ids of shape [${input_ids.shape.join(", ")}]`,
        "Give [batch, tokens].",
      );
    }
    const [, tokens] = input_ids.shape;
    inputs.cache?.reserve(tokens);
    let hidden = this.decode(input_ids, inputs);
    inputs.cache?.advance(tokens);
    const keep = inputs.logits_to_keep;
    if (keep !== undefined && keep < tokens) hidden = slice(hidden, 1, tokens - keep, tokens);
    return this.logits(hidden);
  }

  /** A cache for this model. */
  makeCache(
    options: { readonly batch?: number; readonly maxLength?: number; readonly device?: DeviceName } = {},
  ): KVCache {
    const { num_hidden_layers, num_key_value_heads, head_dim, max_position_embeddings } = this.config;
    return new KVCache({
      layers: num_hidden_layers,
      heads: num_key_value_heads,
      headDim: head_dim,
      batch: options.batch,
      maxLength: options.maxLength ?? max_position_embeddings,
      windows: this.config.windows,
      dtype: this.dtype,
      device: options.device,
    });
  }

  /** Without a cache and with a short and a long one: attention cuts long caches into chunks, with shaders of their own. */
  override rehearse(tokens: number, device: "meta" | "webgpu"): Tensor {
    const run = (ids: Tensor, inputs: CausalLMInputs) =>
      argmax((this as CausalLM).call(ids, inputs), -1, true);
    if (device === "webgpu") {
      using cache = this.makeCache({ maxLength: tokens + 1 });
      const ids = Tensor.zeros([1, tokens], { dtype: "i32" });
      return run(ids, { cache, logits_to_keep: 1 });
    }
    const ids = Tensor.empty([1, tokens], { dtype: "i32", device });
    for (const maxLength of new Set([tokens, this.config.max_position_embeddings])) {
      run(ids, { cache: this.makeCache({ maxLength, device }), logits_to_keep: 1 });
    }
    return run(ids, { logits_to_keep: 1 });
  }

  /**
   * The dtype of what the embedding returns, and with it of the arithmetic: found by running it on meta, since a kernel
   * may stand for it.
   */
  override get dtype(): DType {
    const embedding = moduleAt(this, this.embedding);
    // A kernel may also stand for the whole decoder.
    if (!embedding) {
      return [...this.stateDict().values()].find((p) => FLOATS.includes(p.dtype))?.dtype ?? "f32";
    }
    const silent = { op: () => {} };
    return withTracer(silent, () =>
      scope(() => {
        const ids = Tensor.empty([1, 1], { dtype: "i32", device: "meta" });
        return (embedding.forward(ids) as Tensor).dtype;
      }));
  }

  /** What forward takes, for the trace: a prompt, and one step of a generation. */
  override exampleInputs(): unknown[][] {
    const ids = (tokens: number) => Tensor.empty([1, tokens], { dtype: "i32", device: "meta" });
    return [[ids(4)], [ids(1), { cache: this.makeCache({ maxLength: 8, device: "meta" }) }]];
  }
}
