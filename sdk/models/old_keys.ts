import { type ConversionRule, WeightRenaming } from "../authoring/mod.ts";

/**
 * Whether a key is of a buffer that older versions saved with the weights: rotary frequencies, causal masks and
 * positions. All of them are computed here.
 */
export function isOldBuffer(key: string): boolean {
  return /(^|\.)(rotary_emb\.(inv_freq|cos_cached|sin_cached)|masked_bias|position_ids|attn\.bias)$/.test(
    key,
  );
}

/**
 * The mapping for a checkpoint that was saved from the model without its head: its keys have no `model.` before them.
 * Saving gives the file's own names back.
 */
export function baseModelMapping(keys: Iterable<string>): ConversionRule[] | undefined {
  const has = new Set<string>();
  for (const key of keys) {
    if (key.startsWith("model.")) return undefined;
    has.add(key.slice(0, key.indexOf(".")));
  }
  const tops = ["layers", "embed_tokens", "norm"].filter((top) => has.has(top));
  return tops.length > 0 ? tops.map((top) => new WeightRenaming(`${top}.**`, `model.${top}.**`)) : undefined;
}
