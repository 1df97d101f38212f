import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { capture, KernelwrightError, openGpu } from "../../mod.ts";
import { loadCheckpoint, saveCheckpoint } from "@kernelwright/sdk/checkpoint";
import { buildCausalLM, loadCausalLM, parseDecoderConfig, savePretrained } from "@kernelwright/sdk/models";
import { Linear } from "@kernelwright/sdk/nn";
import { benchKernel, checkKernel, testKernel } from "@kernelwright/sdk/testing";
import { RightNorm } from "../kernelize/verify_fixtures.ts";

const is = (error: KernelwrightError, said: string) =>
  assertEquals([error.code, error.message.includes(said)], ["KW-ARGUMENT", true], error.message);

describe("an option that is not known", () => {
  it("is named by testKernel, checkKernel, benchKernel and capture, with the nearest that is", async () => {
    const said = (at: string, name: string, near: string) =>
      `${at}(): options has an option "${name}" that is not known\n  Did you mean "${near}"?`;
    is(
      assertThrows(() => testKernel(RightNorm, { input: () => [] } as object), KernelwrightError),
      said("testKernel", "input", "inputs"),
    );
    is(
      await assertRejects(() => checkKernel(RightNorm, { shape: [] } as object), KernelwrightError),
      said("checkKernel", "shape", "shapes"),
    );
    is(
      await assertRejects(
        () => benchKernel(RightNorm, { shapes: [{ width: 4 }], dtypes: ["f32"] } as never),
        KernelwrightError,
      ),
      said("benchKernel", "dtypes", "dtype"),
    );
    is(
      assertThrows(() => capture(() => 0, { maxPlan: 4 } as object), KernelwrightError),
      said("capture", "maxPlan", "maxPlans"),
    );
  });

  it("is named by openGpu, by loading and by saving", async () => {
    const refusals: [string, () => Promise<unknown>, string, string][] = [
      [
        "openGpu",
        () => openGpu({ powerPreferences: "low-power" } as object),
        "powerPreferences",
        "powerPreference",
      ],
      ["loadCausalLM", () => loadCausalLM("nowhere", { dtyp: "f16" } as object), "dtyp", "dtype"],
      [
        "savePretrained",
        () => savePretrained(buildCausalLM(parseDecoderConfig(TINY)), "nowhere", { otherFile: 1 } as object),
        "otherFile",
        "otherFiles",
      ],
      [
        "loadCheckpoint",
        () => loadCheckpoint(new Linear(1, 1), { tensors: new Map() } as never, { strickt: 1 } as object),
        "strickt",
        "strict",
      ],
      [
        "saveCheckpoint",
        () => saveCheckpoint(new Linear(1, 1), "nowhere", { remov: [] } as object),
        "remov",
        "remove",
      ],
    ];
    for (const [at, call, name, near] of refusals) {
      is(
        await assertRejects(call, KernelwrightError),
        `${at}(): options has an option "${name}" that is not known\n  Did you mean "${near}"?`,
      );
    }
  });
});

const TINY = {
  model_type: "llama",
  hidden_size: 8,
  intermediate_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 1,
  vocab_size: 8,
};
