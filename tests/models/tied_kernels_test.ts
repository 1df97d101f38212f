/** Layouts on both places of a tied head: put in while loading, saved, taken out. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  convert,
  kernel,
  kernelize,
  Layout,
  layout,
  memory,
  type Parameter,
  parameter,
  replaces,
  type Tensor,
  transpose,
  unkernelize,
} from "@kernelwright/sdk";
import { replace } from "@kernelwright/sdk/config";
import { Embedding, Linear } from "@kernelwright/sdk/nn";
import { embedding, matmul } from "../../sdk/ops/mod.ts";
import { type DecoderLM, generate, loadCausalLM, savePretrained } from "../../sdk/models/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";
import { modelDir, needsModels } from "./checkpoints.ts";

@layout({ site: replaces(Embedding) })
class TableLayout extends Layout {
  weight: Parameter;
  constructor(rows: number, width: number) {
    super();
    this.weight = parameter([rows, width]);
  }
}
@kernel({ site: replaces(Embedding), layout: TableLayout })
class Table {
  forward(this: TableLayout, ids: Tensor): Tensor {
    return embedding(ids, this.weight);
  }
}

@layout({ site: replaces(Linear), conversions: [convert("weight", "turned", [transpose(0, 1)])] })
class HeadLayout extends Layout {
  turned: Parameter;
  constructor(in_features: number, out_features: number, _bias = true) {
    super();
    this.turned = parameter([in_features, out_features]);
  }
}
@kernel({ site: replaces(Linear), layout: HeadLayout })
class Head {
  forward(this: HeadLayout, x: Tensor): Tensor {
    return matmul(x, this.turned);
  }
}

const table = replace("Embedding", Table);
const head = replace("Linear", Head, { at: "lm_head" });

describe(needsModels("layouts on a tied head and its embedding"), () => {
  gpuForFile();
  const alive = () => {
    gpu().trim();
    return memory().bytes;
  };

  for (
    const [name, kernels] of [["both", [table, head]], ["the head", [head]], ["the embedding", [
      table,
    ]]] as const
  ) {
    it(`on ${name}: loaded with, saved, taken out, and put in again`, async () => {
      const dir = await Deno.makeTempDir();
      const start = alive();
      try {
        using plain = await loadCausalLM(modelDir("stories260k"));
        const bytes = alive() - start;
        const ids = async (model: typeof plain) => (await generate(model, [[1]], { maxNewTokens: 12 })).ids;
        const expected = await ids(plain);
        await savePretrained(plain, `${dir}/plain`);
        using model = await loadCausalLM(modelDir("stories260k"), { kernels: { kernels } });
        assertEquals(await ids(model), expected);
        for (let round = 0; round < 2; round++) {
          await savePretrained(model, `${dir}/with`, { kernels: false });
          unkernelize(model);
          for (const [path, p] of model.namedParameters()) assert(p.materialized, path);
          assertEquals((model as DecoderLM).lm_head.weight, (model as DecoderLM).model.embed_tokens.weight);
          assertEquals(await ids(model), expected);
          assertEquals(alive() - start, 2 * bytes);
          await savePretrained(model, `${dir}/without`);
          const saved = ["plain", "with", "without"].map((n) =>
            Deno.readFileSync(`${dir}/${n}/model.safetensors`)
          );
          assertEquals(saved[1], saved[0]);
          assertEquals(saved[2], saved[0]);
          await kernelize(model, { kernels });
          assertEquals(await ids(model), expected);
        }
        model.dispose();
        plain.dispose();
        assertEquals(alive(), start);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });
  }
});
