import { checkArgument } from "../../arguments.ts";
import {
  layer,
  Linear,
  type LlamaAttention,
  LlamaMLP,
  Module,
  ModuleList,
  type SlidingWindowAttention,
} from "../../nn/mod.ts";
import { add, mul, sigmoid, slice, softmax, topkMask } from "../../ops/mod.ts";
import type { Tensor } from "../../tensor/mod.ts";
import type { DecoderConfig } from "../config.ts";
import { decoderAttention, GatedDecoderLayer } from "../decoder.ts";

/**
 * A router and its experts: softmax over all router logits, the largest k, divided by their sum where the model was made so.
 * Every expert runs on every token, and the unchosen ones weigh nothing: a kernel that runs only the chosen ones takes
 * its place.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
export abstract class RoutedExperts extends Module {
  /** The router, `[num_experts, hidden_size]`. */
  gate: Linear;
  /** The experts, each a gated MLP of `intermediate_size`. */
  experts: ModuleList<LlamaMLP>;

  /** Builds the module; its parameters are on the meta device. */
  constructor(
    readonly hidden_size: number,
    readonly intermediate_size: number,
    readonly num_experts: number,
    readonly top_k: number,
    readonly norm_topk_prob: boolean,
    readonly hidden_act: string,
  ) {
    super();
    this.gate = new Linear(hidden_size, num_experts, false);
    this.experts = new ModuleList(
      Array.from({ length: num_experts }, () => new LlamaMLP(hidden_size, intermediate_size, hidden_act)),
    );
  }

  /** `[rows, hidden_size]` → the same shape. */
  protected routed(x: Tensor): Tensor {
    const weights = topkMask(softmax(this.gate.call(x)), this.top_k, this.norm_topk_prob);
    let sum: Tensor | undefined;
    for (let e = 0; e < this.num_experts; e++) {
      const part = mul(this.experts[e].call(x), slice(weights, 1, e, e + 1));
      sum = sum ? add(sum, part) : part;
    }
    return sum!;
  }
}

/**
 * A mixture of experts whose weights may be left as the softmax gives them.
 *
 * No example: it is used as {@linkcode MixtralSparseMoeBlock} is, whose example shows it.
 */
@layer("Qwen3MoeSparseMoeBlock")
export class Qwen3MoeSparseMoeBlock extends RoutedExperts {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param intermediate_size An expert's width.
   * @param top_k Experts for each token.
   * @param norm_topk_prob Whether the chosen experts' weights are divided by their sum.
   */
  constructor(
    hidden_size: number,
    intermediate_size: number,
    num_experts: number,
    top_k: number,
    norm_topk_prob = false,
    hidden_act = "silu",
  ) {
    super(hidden_size, intermediate_size, num_experts, top_k, norm_topk_prob, hidden_act);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor): Tensor {
    return this.routed(hidden_states.reshape([-1, this.hidden_size])).reshape(hidden_states.shape);
  }
}

/**
 * A mixture of experts beside one that all tokens use, whose output is multiplied with a gate's sigmoid.
 *
 * No example: it is used as {@linkcode MixtralSparseMoeBlock} is, whose example shows it.
 */
@layer("Qwen2MoeSparseMoeBlock")
export class Qwen2MoeSparseMoeBlock extends RoutedExperts {
  /** The expert that all tokens use, of `shared_expert_intermediate_size`. */
  shared_expert: LlamaMLP;
  /** How much of it a token takes, `[1, hidden_size]`. */
  shared_expert_gate: Linear;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param intermediate_size A routed expert's width.
   * @param shared_expert_intermediate_size The width of the one that all tokens use.
   * @param top_k Experts for each token.
   * @param norm_topk_prob Whether the chosen experts' weights are divided by their sum.
   */
  constructor(
    hidden_size: number,
    intermediate_size: number,
    readonly shared_expert_intermediate_size: number,
    num_experts: number,
    top_k: number,
    norm_topk_prob = false,
    hidden_act = "silu",
  ) {
    super(hidden_size, intermediate_size, num_experts, top_k, norm_topk_prob, hidden_act);
    this.shared_expert = new LlamaMLP(hidden_size, shared_expert_intermediate_size, hidden_act);
    this.shared_expert_gate = new Linear(hidden_size, 1, false);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor): Tensor {
    const x = hidden_states.reshape([-1, this.hidden_size]);
    const shared = mul(this.shared_expert.call(x), sigmoid(this.shared_expert_gate.call(x)));
    return add(this.routed(x), shared).reshape(hidden_states.shape);
  }
}

/**
 * A decoder layer of attention and {@linkcode Qwen3MoeSparseMoeBlock}.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
@layer("Qwen3MoeDecoderLayer")
export class Qwen3MoeDecoderLayer
  extends GatedDecoderLayer<LlamaAttention | SlidingWindowAttention, Qwen3MoeSparseMoeBlock> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place, which is also its place in the cache.
   */
  constructor(config: DecoderConfig, layer_idx: number) {
    checkArgument("new Qwen3MoeDecoderLayer(): config", config, "an object");
    const block = new Qwen3MoeSparseMoeBlock(
      config.hidden_size,
      config.moe_intermediate_size!,
      config.num_local_experts!,
      config.num_experts_per_tok!,
      config.norm_topk_prob,
      config.hidden_act,
    );
    super(config, decoderAttention(config, layer_idx), block);
  }
}

/**
 * A decoder layer of attention and {@linkcode Qwen2MoeSparseMoeBlock}.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
@layer("Qwen2MoeDecoderLayer")
export class Qwen2MoeDecoderLayer
  extends GatedDecoderLayer<LlamaAttention | SlidingWindowAttention, Qwen2MoeSparseMoeBlock> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place, which is also its place in the cache.
   */
  constructor(config: DecoderConfig, layer_idx: number) {
    checkArgument("new Qwen2MoeDecoderLayer(): config", config, "an object");
    const block = new Qwen2MoeSparseMoeBlock(
      config.hidden_size,
      config.moe_intermediate_size!,
      config.shared_expert_intermediate_size!,
      config.num_local_experts!,
      config.num_experts_per_tok!,
      config.norm_topk_prob,
      config.hidden_act,
    );
    super(config, decoderAttention(config, layer_idx), block);
  }
}
