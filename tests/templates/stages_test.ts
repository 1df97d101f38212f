import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { openGpu, scope, Tensor } from "@kernelwright/sdk";
import * as ops from "@kernelwright/sdk/ops";
import { assertClose, randomSource } from "@kernelwright/sdk/testing";
import { activation, gatedMlp, layerNorm, linear, rmsNorm } from "../../templates/stages/mod.ts";

const random = randomSource(7);
const make = (...shape: number[]) =>
  Tensor.from(Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random() * 4 - 2), {
    shape,
  });

/** A stage and the operators that say what is right, on sizes that are not multiples of anything. */
const CASES: Record<string, () => [Tensor, Tensor]> = {
  "rmsNorm()": () => {
    const [x, w] = [make(3, 5, 33), make(33)];
    return [rmsNorm(x, w, 1e-5), ops.rmsNorm(x, w, 1e-5)];
  },
  "layerNorm()": () => {
    const [x, w, b] = [make(17, 33), make(33), make(33)];
    return [layerNorm(x, w, b, 1e-5), ops.layerNorm(x, w, b, 1e-5)];
  },
  "linear()": () => {
    const [x, w, b] = [make(9, 33), make(70, 33), make(70)];
    return [linear(x, w, b), ops.linear(x, w, b)];
  },
  "activation()": () => {
    const [x, up] = [make(5, 67), make(5, 67)];
    return [activation("gelu", x, up), ops.mul(ops.gelu(x), up)];
  },
  // Rows of one value: each is held to a share of itself, however small.
  "activation() of what is far below zero": () => {
    const x = Tensor.from(Float32Array.from({ length: 60 }, (_, i) => -i / 10), { shape: [60, 1] });
    return [activation("gelu", x), ops.gelu(x)];
  },
  "gatedMlp()": () => {
    const [x, gate, up, down] = [make(5, 33), make(67, 33), make(67, 33), make(33, 67)];
    const middle = ops.mul(ops.silu(ops.linear(x, gate)), ops.linear(x, up));
    return [gatedMlp(x, gate, up, down), ops.linear(middle, down)];
  },
};

describe({
  name: "templates/stages",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () => {
    beforeAll(async () => {
      await openGpu();
    });
    afterAll(async () => {
      (await openGpu()).destroy();
    });
    for (const [name, run] of Object.entries(CASES)) {
      it(`${name} computes what the operators compute`, async () => {
        const [actual, expected] = scope(run);
        await assertClose(actual, expected, { rtol: 2e-5, atol: 1e-30, rowtol: 5e-6 });
      });
    }
  },
});
