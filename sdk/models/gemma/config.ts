import type { DecoderConfig } from "../config.ts";

/** A decoder's config with what Gemma 2 and 3 have besides. */
export interface GemmaConfig extends DecoderConfig {
  /** Scores are multiplied with `1 / √query_pre_attn_scalar`. */
  readonly query_pre_attn_scalar: number;
  /** Scores become `cap · tanh(score / cap)`, where there is a cap. */
  readonly attn_logit_softcapping?: number;
  /** The same for logits. */
  readonly final_logit_softcapping?: number;
}
