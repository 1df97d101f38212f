import { workgroups } from "../../sdk/gpu/mod.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { collectPipelines, memory } from "../../sdk/gpu/mod.ts";

import { add, advance, argmax, attention, cast, concat, matmul, operator, scale } from "../../sdk/ops/mod.ts";
import { scope, Tensor, withTracer } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";

describe("operator()", () => {
  gpuForFile();

  it("gives shape and dtype on meta, and no memory", () => {
    const before = memory().created;
    const out = cast(
      concat([Tensor.empty([2, 3], { device: "meta" }), Tensor.empty([1, 3], { device: "meta" })], 0),
      "f16",
    );
    assertEquals([out.shape, out.dtype, out.device, memory().created], [[3, 3], "f16", "meta", before]);
  });

  it("tells the tracer what it read and made, and computes nothing", () => {
    scope(() => {
      const x = Tensor.zeros([2]);
      const position = Tensor.zeros([1], { dtype: "i32" });
      const seen: [string, readonly Tensor[], readonly Tensor[]][] = [];
      const out = withTracer({ op: (...args) => seen.push(args) }, () => {
        advance(position, 1);
        return add(x, x);
      });
      assertEquals(out.device, "meta");
      assertEquals(seen.map(([name]) => name), ["advance", "add"]);
      assert(seen[0][2][0] === position);
      assert(seen[1][1][0] === x && seen[1][2][0] === out);
    });
  });

  it("shows the pipelines of its leg to whoever collects them, and stays one step to the tracer", () => {
    const meta = (...shape: number[]) => Tensor.empty(shape, { device: "meta" });
    const position = Tensor.empty([1], { device: "meta", dtype: "i32" });
    const [steps, shaders]: [string[], string[]] = [[], []];
    const forward = () => {
      attention(meta(1, 1, 2, 64), meta(1, 512, 2, 64), meta(1, 512, 2, 64), { position, causal: true });
      argmax(meta(1, 32000));
      concat([meta(2, 3), meta(2, 3)], 1);
      matmul(meta(4, 8), meta(8, 4));
    };
    withTracer(
      { op: (name) => steps.push(name) },
      () => collectPipelines((request) => shaders.push(request.variant.shader.name), forward, true),
    );
    assertEquals(steps, ["attention", "argmax", "concat", "matmul"]);
    assertEquals(shaders.map((name) => name.split(/[ .]/)[0]), [
      "attention",
      "attention_combine",
      "argmax",
      "strided_copy",
      "strided_copy",
      "matmul",
    ]);
  });

  it("says which tensor is on another device", () => {
    scope(() => {
      const a = Tensor.zeros([2], { name: "a" });
      const b = Tensor.zeros([2], { name: "weight", device: "reference" });
      assertEquals(
        assertThrows(() => add(a, b), KernelwrightError).message,
        'KW-TENSOR-DEVICE\n  Cannot run add: "a" f32 [2] is on "webgpu", and "weight" f32 [2] on "reference"\n' +
          "  Bring them to one device with `await t.to(…)`; a parameter on meta has not been loaded.",
      );
    });
  });

  it("leaves no tensor behind when a leg throws", () => {
    const before = memory().tensors;
    const broken = operator<[x: Tensor]>({
      name: "broken",
      infer: (x) => x,
      webgpu: () => advance(Tensor.empty([2], { device: "meta" }), 1),
      reference: () => {},
    });
    const x = Tensor.zeros([2]);
    assertThrows(() => broken(x), KernelwrightError);
    x.dispose();
    assertEquals(memory().tensors, before);
  });

  it("covers more elements than one dimension of workgroups can", async () => {
    const count = 65535 * 64 + 65; // 66 more workgroups than fit in a row, one of them not full
    const out = scope(() => scale(Tensor.from(new Float32Array(count).fill(1)), 3));
    const data = await out.data();
    out.dispose();
    assertEquals(data.findIndex((v) => v !== 3), -1);
  });

  it("workgroups() has enough workgroups, none too many in a dimension", () => {
    for (const n of [0, 1, 64, 65, 65535 * 64, 65535 * 64 + 1, 2 ** 31]) {
      const [x, y] = workgroups(n);
      assert(x * y * 64 >= n && x <= 65535 && y <= 65535, `${n}: ${x}, ${y}`);
    }
    assertEquals(workgroups(0), [0, 1]);
  });
});
