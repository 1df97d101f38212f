/** An error about a tensor without values says where in the model it is. */
import { assertMatch, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { dispatch, kernelize, KernelwrightError, Module, scope, shader, Tensor } from "@kernelwright/sdk";
import { replace } from "@kernelwright/sdk/config";
import { RMSNorm } from "@kernelwright/sdk/nn";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { Norm, Stack, WIDTH } from "./fixtures.ts";
import { fill } from "./unchanged.ts";

gpuForFile();

function run(model: Module): KernelwrightError {
  using x = Tensor.zeros([2, WIDTH]);
  return assertThrows(() => scope(() => model.call(x)), KernelwrightError);
}

describe("a tensor on meta", () => {
  it("is named by its path, in an operator and with kernels", async () => {
    using model = fill(new Stack(), "webgpu");
    model.layers[1].namedParameters().find(([path]) => path === "mlp.up_proj.weight")![1].unload();
    assertMatch(
      run(model).message,
      /key "layers\.1\.mlp\.up_proj\.weight".*\n.*"layers\.1\.mlp\.up_proj\.weight" f32 \[12, 8\] on "meta"/,
    );
    using empty = new Stack();
    await kernelize(empty, { kernels: [replace("RMSNorm", Norm)] });
    assertMatch(run(empty).message, /"layers\.0\.norm\.scale" f32 \[8\] on "meta"/);
  });

  it("is named by its path in a dispatch, also as a view", () => {
    const copy = shader({
      code: `
        @group(0) @binding(0) var<storage, read> x: array<f32>;
        @group(0) @binding(1) var<storage, read_write> out: array<f32>;
        @compute @workgroup_size(1) fn main() { out[0] = x[0]; }`,
    });
    class Copy extends Module {
      inner = new RMSNorm(WIDTH);
      override forward(x: Tensor): Tensor {
        const out = Tensor.empty(x.shape);
        dispatch(copy, { x: this.inner.weight.reshape([WIDTH, 1]), out }, { workgroups: 1 });
        return out;
      }
    }
    class Outer extends Module {
      copy = new Copy();
      override forward(x: Tensor): Tensor {
        return this.copy.call(x);
      }
    }
    assertMatch(run(new Outer()).message, /key "copy\.inner\.weight"[^]*"copy\.inner\.weight" f32 \[8, 1\]/);
  });

  it("is named when its values are asked for", async () => {
    const model = new Stack();
    await kernelize(model, { kernels: [replace("RMSNorm", Norm)] });
    const [, scale] = [...model.namedParameters()].find(([path]) => path === "norm.scale")!;
    await assertRejects(() => Promise.resolve().then(() => scale.data()), KernelwrightError, '"norm.scale"');
  });
});
