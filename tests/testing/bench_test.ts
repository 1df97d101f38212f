import { describe, it } from "@std/testing/bdd";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  dispatch,
  kernel,
  KernelwrightError,
  memory,
  openGpu,
  replaces,
  shader,
  Tensor,
} from "@kernelwright/sdk";
import { RMSNorm } from "@kernelwright/sdk/nn";
import { benchKernel } from "@kernelwright/sdk/testing";
import { TreeNorm } from "./fixtures/tree-norm/mod.ts";

const zero = shader({
  name: "zero.wgsl",
  code: `
@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&out)) { out[id.x] = 0.0; }
}`,
});

/** Fast, and wrong. */
@kernel({ site: replaces(RMSNorm) })
class ZeroNorm {
  forward(this: RMSNorm, hidden_states: Tensor): Tensor {
    const out = Tensor.empty(hidden_states.shape);
    dispatch(zero, { out }, { workgroups: Math.ceil(out.size / 64) });
    return out;
  }
}

const quick = { rounds: 2, train: 2 };
const shapes = [{ batch: 1, tokens: 4, width: 64 }, { batch: 1, tokens: 4, width: 256 }];

describe({
  name: "benchKernel()",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () => {
    it("times the kernel, the original and others, and leaves nothing on the GPU", async () => {
      await openGpu();
      const before = memory();
      const report = await benchKernel(TreeNorm, {
        ...quick,
        shapes,
        against: { again: TreeNorm },
        cost: ({ tokens, width }) => ({ flops: 4 * tokens * width }),
      });
      assertEquals(memory().tensors, before.tensors);
      assertEquals(report.rows.map((r) => r.timings.map((t) => t.name)), [
        ["TreeNorm", "original", "again"],
        ["TreeNorm", "original", "again"],
      ]);
      // x, the weight and the result, once each.
      assertEquals(report.rows.map((r) => r.bytes), [4 * (2 * 4 * 64 + 64), 4 * (2 * 4 * 256 + 256)]);
      assertEquals(report.rows.map((r) => r.flops), [1024, 4096]);
      const timed = report.rows.flatMap((r) => r.timings.map((t) => (t.gpu ?? 0) > 0));
      assertEquals(new Set(timed), new Set([(await openGpu()).features.has("timestamp-query")]));
      assert(report.roof.copy > 0 && report.roof.fma > 0, JSON.stringify(report.roof));
      assert(report.rows.every((r) => r.timings.every((t) => t.median >= 0 && t.fastest <= t.median)));
      assertStringIncludes(String(report), "GFLOP/s");
      assertEquals(JSON.parse(JSON.stringify(report)).rows.length, 2);
      const svg = report.toSVG();
      assertEquals(svg.match(/<polyline/g)?.length, 3);
      assert(svg.startsWith("<svg") && !svg.includes("NaN"));
    });

    it("does not time what is wrong", async () => {
      const error = await assertRejects(() => benchKernel(ZeroNorm, { ...quick, shapes }), KernelwrightError);
      assertEquals(error.code, "KW-TEST-CHECK");
      assertEquals(
        (await assertRejects(() => benchKernel(TreeNorm, { shapes: [] }), KernelwrightError)).code,
        "KW-TEST-OPTION",
      );
    });
  },
});
