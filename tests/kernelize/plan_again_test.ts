/** A model that has kernels is planned for its originals, as it is when it is kernelized again. */
import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type KernelConfig, kernelize, unkernelize } from "@kernelwright/sdk";
import { fuse, replace } from "@kernelwright/sdk/config";
import { explain, explainPlan, planKernelize } from "@kernelwright/sdk/inspect";
import { Norm, NormForward, NormMLP, Stack, WIDTH } from "./fixtures.ts";
import { fill, leavesUnchanged, outputOf, photograph } from "./unchanged.ts";

const fused: KernelConfig = {
  kernels: [
    replace("RMSNorm", Norm),
    fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], NormMLP),
  ],
};
const forwards: KernelConfig = { kernels: [replace("RMSNorm", NormForward)] };
const INPUT = [2, 3, WIDTH];

describe("a plan for a model that has kernels", () => {
  for (
    const [name, first, second] of [
      ["the same config", fused, fused],
      ["another config", fused, forwards],
      ["layouts where only forward was swapped", forwards, fused],
    ] as const
  ) {
    it(`is the plan for its originals, and kernelize and explain agree: ${name}`, async () => {
      const model = fill(new Stack());
      const { report: fresh } = await planKernelize(model, second);
      await kernelize(model, first);
      const planned = await planKernelize(model, second);
      const { report } = planned;
      assertEquals(report.toJSON(), fresh.toJSON());
      const swapped = await kernelize(model, second);
      assertEquals(report.toJSON(), swapped.toJSON());
      for (const { path, kernel, reason } of report.sites) {
        const said = explain(model, path);
        assertEquals([said.kernel, said.reason.startsWith(reason)], [kernel, true]);
        assertEquals(String(explainPlan(planned, path)), String(said));
      }
    });
  }

  it("changes nothing: the kernels, their values and what they compute", async () => {
    const model = fill(new Stack());
    await leavesUnchanged(model, async () => {
      await kernelize(model, fused);
      const output = await outputOf(model, INPUT);
      const check = photograph(model);
      await planKernelize(model, forwards);
      await assertRejects(() => planKernelize(model, { kernels: [replace("RMSNorm", NormMLP)] }));
      await check();
      assertEquals(await outputOf(model, INPUT), output);
      assertEquals(explain(model, "norm").kernel, "Norm");
      unkernelize(model);
    });
  });

  it("waits for a kernelize that is under way", async () => {
    const model = fill(new Stack());
    const { report: fresh } = await planKernelize(model, forwards);
    const [, { report }] = await Promise.all([kernelize(model, fused), planKernelize(model, forwards)]);
    assertEquals(report.toJSON(), fresh.toJSON());
  });
});
