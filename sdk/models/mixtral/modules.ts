import { checkArgument } from "../../arguments.ts";
import {
  type AttentionContext,
  type GatedActivation,
  gatedActivation,
  layer,
  Linear,
  type LlamaAttention,
  Module,
  ModuleList,
  RMSNorm,
  type SlidingWindowAttention,
} from "../../nn/mod.ts";
import { add, mul, slice, softmax, topkMask } from "../../ops/mod.ts";
import type { Tensor } from "../../tensor/mod.ts";
import type { DecoderConfig } from "../config.ts";
import { decoderAttention } from "../decoder.ts";

/**
 * One expert: `w2(act(w1 x) · (w3 x))`.
 *
 * @example
 * ```ts
 * import { Tensor } from "@kernelwright/sdk";
 * import { MixtralExpert } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * const expert = new MixtralExpert(64, 172);
 * using x = Tensor.empty([5, 64], { device: "meta" });
 * assertEquals(expert.call(x).shape, [5, 64]);
 * ```
 */
@layer("MixtralExpert")
export class MixtralExpert extends Module {
  /** The gate, `[intermediate_size, hidden_size]`. */
  w1: Linear;
  /** Back to the stream, `[hidden_size, intermediate_size]`. */
  w2: Linear;
  /** Up, `[intermediate_size, hidden_size]`. */
  w3: Linear;
  /** `(gate, up) → act(gate) · up`. */
  act_fn: GatedActivation;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param hidden_act The activation's name as in config.json.
   */
  constructor(hidden_size: number, intermediate_size: number, hidden_act = "silu") {
    super();
    this.w1 = new Linear(hidden_size, intermediate_size, false);
    this.w2 = new Linear(intermediate_size, hidden_size, false);
    this.w3 = new Linear(hidden_size, intermediate_size, false);
    this.act_fn = gatedActivation(hidden_act);
  }

  /** `[..., hidden_size]` → the same shape. */
  override forward(x: Tensor): Tensor {
    return this.w2.call(this.act_fn.call(this.w1.call(x), this.w3.call(x)));
  }
}

/**
 * A mixture of experts (Jiang et al. 2024): softmax over all router logits, the largest k, divided by their sum.
 *
 * This module runs every expert on every token and weighs the unchosen ones by zero: it is the plain statement of
 * the block, with static shapes. A kernel that runs only the chosen ones takes its place.
 *
 * @example
 * ```ts
 * import { Tensor } from "@kernelwright/sdk";
 * import { MixtralSparseMoeBlock } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * const block = new MixtralSparseMoeBlock(64, 172, 8, 2); // 8 experts, 2 for each token
 * using x = Tensor.empty([1, 5, 64], { device: "meta" });
 * assertEquals([block.call(x).shape, block.experts.length], [[1, 5, 64], 8]);
 * ```
 */
@layer("MixtralSparseMoeBlock")
export class MixtralSparseMoeBlock extends Module {
  /** The router, `[num_experts, hidden_size]`. */
  gate: Linear;
  /** The experts. */
  experts: ModuleList<MixtralExpert>;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param top_k Experts for each token.
   */
  constructor(
    readonly hidden_size: number,
    readonly intermediate_size: number,
    readonly num_experts: number,
    readonly top_k: number,
    readonly hidden_act = "silu",
  ) {
    super();
    this.gate = new Linear(hidden_size, num_experts, false);
    this.experts = new ModuleList(
      Array.from(
        { length: num_experts },
        () => new MixtralExpert(hidden_size, intermediate_size, hidden_act),
      ),
    );
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor): Tensor {
    const x = hidden_states.reshape([-1, this.hidden_size]);
    const weights = topkMask(softmax(this.gate.call(x)), this.top_k, true);
    let sum: Tensor | undefined;
    for (let e = 0; e < this.num_experts; e++) {
      const part = mul(this.experts[e].call(x), slice(weights, 1, e, e + 1));
      sum = sum ? add(sum, part) : part;
    }
    return sum!.reshape(hidden_states.shape);
  }
}

/**
 * A decoder layer whose MLP is a mixture of experts.
 *
 * @example
 * ```ts
 * import { MixtralDecoderLayer, parseDecoderConfig } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * const config = parseDecoderConfig({
 *   model_type: "mixtral",
 *   hidden_size: 64,
 *   intermediate_size: 172,
 *   num_hidden_layers: 2,
 *   num_attention_heads: 4,
 *   num_key_value_heads: 2,
 *   vocab_size: 512,
 *   max_position_embeddings: 128,
 *   num_local_experts: 8,
 *   num_experts_per_tok: 2,
 * });
 * assertEquals(new MixtralDecoderLayer(config, 0).block_sparse_moe.experts.length, 8);
 * ```
 */
@layer("MixtralDecoderLayer")
export class MixtralDecoderLayer extends Module {
  /** Attention. */
  self_attn: LlamaAttention | SlidingWindowAttention;
  /** The experts. */
  block_sparse_moe: MixtralSparseMoeBlock;
  /** Before attention. */
  input_layernorm: RMSNorm;
  /** Before the experts. */
  post_attention_layernorm: RMSNorm;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place.
   */
  constructor(config: DecoderConfig, layer_idx: number) {
    super();
    checkArgument("new MixtralDecoderLayer(): config", config, "an object");
    const {
      hidden_size,
      intermediate_size,
      rms_norm_eps,
      num_local_experts,
      num_experts_per_tok,
      hidden_act,
    } = config;
    this.self_attn = decoderAttention(config, layer_idx);
    this.block_sparse_moe = new MixtralSparseMoeBlock(
      hidden_size,
      intermediate_size,
      num_local_experts!,
      num_experts_per_tok!,
      hidden_act,
    );
    this.input_layernorm = new RMSNorm(hidden_size, rms_norm_eps);
    this.post_attention_layernorm = new RMSNorm(hidden_size, rms_norm_eps);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor, context: AttentionContext): Tensor {
    const attended = this.self_attn.call(this.input_layernorm.call(hidden_states), context);
    const residual = add(hidden_states, attended);
    return add(residual, this.block_sparse_moe.call(this.post_attention_layernorm.call(residual)));
  }
}
