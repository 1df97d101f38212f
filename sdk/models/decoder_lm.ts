import { checkArgument, checkInstance } from "../arguments.ts";
import { type AttentionContext, Linear, type Module } from "../nn/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { CausalLM } from "./causal_lm.ts";
import type { DecoderConfig } from "./config.ts";
import { type DecoderInputs, decoderLayer, DecoderModel } from "./decoder.ts";

/**
 * A decoder under `model` with a language-model head: what most families are.
 *
 * @example
 * ```ts
 * import { DecoderLM, LlamaDecoderLayer, parseDecoderConfig } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * const config = parseDecoderConfig(JSON.parse(Deno.readTextFileSync("./model/config.json")));
 * const model = new DecoderLM(config, (index) => new LlamaDecoderLayer(config, index));
 * assertEquals(model.stateDict().has("model.layers.1.mlp.up_proj.weight"), true);
 * ```
 */
export class DecoderLM extends CausalLM {
  /** The decoder. */
  model: DecoderModel;
  /** The head. Where the config ties it, its weight is the embedding's. */
  lm_head: Linear;
  /** Where the embedding of tokens is. */
  protected override readonly embedding = "model.embed_tokens";

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param makeLayer Builds a decoder layer; defaults to Llama's.
   * @param model The decoder; defaults to one of these layers.
   */
  constructor(
    override readonly config: DecoderConfig,
    makeLayer?: (index: number) => Module & { forward(h: Tensor, c: AttentionContext): Tensor },
    model?: DecoderModel,
  ) {
    super();
    checkArgument("new DecoderLM(): config", config, "an object");
    if (model !== undefined) checkInstance("new DecoderLM(): model", model, DecoderModel);
    this.model = model ?? new DecoderModel(config, makeLayer ?? ((i) => decoderLayer(config, i)));
    this.lm_head = new Linear(config.hidden_size, config.vocab_size, false);
    if (config.tie_word_embeddings) this.lm_head.weight = this.model.embed_tokens.weight;
    for (const [path, p] of this.namedParameters()) p.name ??= path; // as errors call them
  }

  /** Ids `[batch, tokens]` → hidden states `[batch, tokens, hidden_size]` after the last norm. */
  override decode(input_ids: Tensor, inputs: DecoderInputs): Tensor {
    return this.model.call(input_ids, inputs);
  }

  /** Hidden states `[batch, tokens, hidden_size]` → logits `[batch, tokens, vocab_size]`. */
  override logits(hidden_states: Tensor): Tensor {
    return this.lm_head.call(hidden_states);
  }
}
