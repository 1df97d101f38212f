import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openCheckpoint } from "../../sdk/checkpoint/mod.ts";
import { PretrainedModel, savePretrained } from "../../sdk/models/mod.ts";
import { Embedding, Linear } from "../../sdk/nn/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";

/** A model without a cache and a head. */
class Encoder extends PretrainedModel {
  override readonly config = { model_type: "encoder", max_position_embeddings: 32 };
  words = new Embedding(16, 8);
  dense = new Linear(8, 8, false);
  override forward(ids: Tensor): Tensor {
    return this.dense.call(this.words.call(ids));
  }
  override get dtype() {
    return this.dense.weight.dtype;
  }
  override exampleInputs(): unknown[][] {
    return [[Tensor.empty([1, 4], { dtype: "i32", device: "meta" })]];
  }
}

describe("PretrainedModel", () => {
  gpuForFile();

  it("is made ready and saved without a cache and a head", async () => {
    using model = new Encoder();
    await model.ready({ probe: false });
    model.words.weight.assign(Tensor.zeros([16, 8]));
    model.dense.weight.assign(Tensor.zeros([8, 8]));
    await model.ready({ probe: false });
    const dir = await Deno.makeTempDir();
    try {
      await savePretrained(model, dir);
      await using checkpoint = await openCheckpoint(dir);
      assertEquals([...checkpoint.tensors.keys()].toSorted(), ["dense.weight", "words.weight"]);
      assertEquals(JSON.parse(await Deno.readTextFile(`${dir}/config.json`)), model.config);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
});
