/**
 * Every decoder of ../shared/models with every example kernel. Where one fits by class, the expected logits stay;
 * where it does not, each site that it names keeps its module, for a reason that is told.
 */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import { kernelize, type KernelReport, unkernelize } from "../../sdk/kernelize/mod.ts";
import { DECODERS, generate, loadCausalLM } from "../../sdk/models/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { configOf, modelNames } from "../helpers/models.ts";
import { expectedJson, expectedTensor, modelDir, needsModels } from "./checkpoints.ts";
import { EXAMPLE_KERNELS } from "./example_kernels.ts";
import { largestDifference, logitsOf } from "./logits.ts";

const types = DECODERS.flatMap((f) => f.types);
const names = modelNames().filter((n) =>
  /-tiny-random$/.test(n) && types.includes(String(configOf(n).model_type))
);

describe(needsModels("the ladder of decoders, with the examples' kernels"), () => {
  gpuForFile();
  const fitted = new Map(EXAMPLE_KERNELS.map(({ name }) => [name, 0]));

  for (const name of names) {
    it(`${name} keeps its expected logits with every kernel that fits`, async () => {
      const ids = await expectedJson<number[]>(name, "input_ids");
      const logits = await expectedTensor(name, "logits", "logits");
      const before = memory().tensors;
      {
        using model = await loadCausalLM(modelDir(name));
        const options = { maxNewTokens: 6, eosTokenIds: [] };
        const plain = await generate(model, [ids], options);
        for (const { name: kernel, config } of EXAMPLE_KERNELS) {
          let report: KernelReport;
          try {
            report = await kernelize(model, config);
          } catch (error) {
            // No layer of that name, or none of them in that order: nothing of the model was touched.
            assert(
              error instanceof KernelwrightError && /^KW-(MATCH|CONFIG|TRACE)-/.test(error.code),
              String(error),
            );
            continue;
          }
          for (const site of report.sites) assert(site.kernel !== undefined || site.reason, site.path);
          if (report.swapped.length > 0) {
            fitted.set(kernel, fitted.get(kernel)! + 1);
            const off = largestDifference(await logitsOf(model, [ids]), logits);
            assert(off < 1e-4, `${kernel}: off by ${off}`);
            const made = await generate(model, [ids], { ...options, capture: true });
            assertEquals(made.ids, plain.ids, kernel);
          }
          unkernelize(model);
        }
      }
      assertEquals(memory().tensors, before);
    });
  }

  it("is where each of them fits somewhere", () => {
    for (const [kernel, count] of fitted) assert(count > 0, kernel);
  });
});
