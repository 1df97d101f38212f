import { type AttentionContext, GemmaRMSNorm, type Module } from "../../nn/mod.ts";
import { scale, tanh } from "../../ops/mod.ts";
import type { Tensor } from "../../tensor/mod.ts";
import { DecoderModel } from "../decoder.ts";
import { DecoderLM } from "../decoder_lm.ts";
import type { GemmaConfig } from "./config.ts";

type Layer = Module & { forward(h: Tensor, c: AttentionContext): Tensor };

/** A decoder whose embeddings are multiplied with `√hidden_size`, and whose last norm is Gemma's. */
class GemmaModel extends DecoderModel {
  readonly #root: number;

  constructor(config: GemmaConfig, makeLayer: (index: number) => Layer) {
    super(config, makeLayer, new GemmaRMSNorm(config.hidden_size, config.rms_norm_eps));
    this.#root = Math.sqrt(config.hidden_size);
  }

  protected override embed(input_ids: Tensor): Tensor {
    const embedded = super.embed(input_ids);
    // As in training, the factor has the dtype of what it is multiplied with.
    return scale(embedded, embedded.dtype === "f16" ? Math.f16round(this.#root) : this.#root);
  }
}

/** A Gemma decoder with a head, whose logits have a soft cap where the config says so. */
export class GemmaLM extends DecoderLM {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param makeLayer Builds the layer of an index.
   */
  constructor(override readonly config: GemmaConfig, makeLayer: (index: number) => Layer) {
    super(config, makeLayer, new GemmaModel(config, makeLayer));
  }

  override logits(hidden_states: Tensor): Tensor {
    const logits = super.logits(hidden_states);
    const cap = this.config.final_logit_softcapping;
    return cap === undefined ? logits : scale(tanh(scale(logits, 1 / cap)), cap);
  }
}
