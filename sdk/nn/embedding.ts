import { embedding } from "../ops/mod.ts";
import { type Parameter, parameter, type Tensor } from "../tensor/mod.ts";
import { layer } from "./layer.ts";
import { Module } from "./module.ts";

/** A row of the weight for each id. */
@layer("Embedding")
export class Embedding extends Module {
  /** `[num_embeddings, embedding_dim]`. */
  weight: Parameter;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param num_embeddings The vocabulary's size.
   * @param embedding_dim The width of a row.
   */
  constructor(readonly num_embeddings: number, readonly embedding_dim: number) {
    super();
    this.weight = parameter([num_embeddings, embedding_dim]);
  }

  /** i32 or u32 ids `[...]` → `[..., embedding_dim]`. */
  override forward(ids: Tensor): Tensor {
    return embedding(ids, this.weight);
  }
}
