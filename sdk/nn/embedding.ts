import { embedding } from "../ops/mod.ts";
import { type Parameter, parameter, type Tensor } from "../tensor/mod.ts";
import { layer } from "./layer.ts";
import { Module } from "./module.ts";

/**
 * A row of the weight for each id.
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { Embedding } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using embedding = new Embedding(3, 2);
 * embedding.loadStateDict({ weight: Tensor.from([[1, 2], [3, 4], [5, 6]]) });
 * using ids = Tensor.from([2, 0], { dtype: "i32" }), out = embedding.call(ids);
 * assertEquals([...await out.data()], [5, 6, 1, 2]);
 * ```
 */
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
