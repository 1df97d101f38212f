import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { capture, KernelwrightError } from "../../mod.ts";
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
});
