import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  bindRule,
  concatenate,
  type ConversionRule,
  convert,
  kernel,
  Layout,
  layout,
  permuteForRope,
  rename,
  replaces,
} from "../../sdk/authoring/mod.ts";
import { KernelwrightError } from "../../sdk/errors.ts";
import { kernelize, replace } from "../../sdk/kernelize/mod.ts";
import { Linear, Module } from "../../sdk/nn/mod.ts";
import { linear } from "../../sdk/ops/mod.ts";
import { type Parameter, parameter, referenceValues, Tensor } from "../../sdk/tensor/mod.ts";

const site = replaces(Linear);

/** A kernel whose layout has the conversions that `rules` gives for a module. */
function kernelWith(rules: (linear: Linear) => readonly ConversionRule[]) {
  @layout({ site, conversions: rules })
  class OwnLayout extends Layout {
    w: Parameter;
    b?: Parameter;
    constructor(in_features: number, out_features: number, bias = true) {
      super();
      this.w = parameter([out_features, in_features]);
      if (bias) this.b = parameter([out_features]);
    }
  }
  @kernel({ site, layout: OwnLayout })
  class Own {
    forward(this: OwnLayout, x: Tensor): Tensor {
      return linear(x, this.w, this.b);
    }
  }
  return Own;
}

class Two extends Module {
  plain: Linear = new Linear(4, 6, false);
  biased: Linear = new Linear(6, 2);

  override forward(x: Tensor): Tensor {
    return this.biased.call(this.plain.call(x));
  }
}

const inputs = [Tensor.empty([1, 4], { device: "meta" })];

describe("conversions that are a function", () => {
  it("may differ from site to site", async () => {
    const Own = kernelWith((m) => [rename("weight", "w"), ...(m.bias ? [rename("bias", "b")] : [])]);
    const report = await kernelize(new Two(), { kernels: [replace("Linear", Own)] }, { inputs });
    assertEquals(report.swapped.map((s) => s.conversions), [["weight → w"], ["weight → w", "bias → b"]]);
  });

  it("are checked as a list is", async () => {
    const Own = kernelWith(() => [rename("weight", "w")]);
    const error = await assertRejects(
      () => kernelize(new Two(), { kernels: [replace("Linear", Own)] }, { inputs }),
      KernelwrightError,
    );
    assertEquals([error.code, error.diagnostic.where?.site], ["KW-CONVERT-UNFILLED", "biased"]);
  });

  it("name their layout and site when they fail", async () => {
    const Own = kernelWith((m) => [rename("weight", m.bias!.shape[0] > 0 ? "w" : "")]);
    const error = await assertRejects(
      () => kernelize(new Two(), { kernels: [replace("Linear", Own)] }, { inputs }),
      KernelwrightError,
      "The conversions of OwnLayout failed: TypeError",
    );
    assertEquals([error.code, error.diagnostic.where?.site], ["KW-LAYOUT-CONSTRUCT", "plain"]);
  });

  it("may be empty only where there is nothing to fill", async () => {
    const Own = kernelWith(() => []);
    const error = await assertRejects(
      () => kernelize(new Two(), { kernels: [replace("Linear", Own)] }, { inputs }),
      KernelwrightError,
    );
    assertEquals(error.code, "KW-CONVERT-UNFILLED");
  });
});

describe("permuteForRope()", () => {
  it("leaves a tensor of 0 heads as it is, also on the way back", () => {
    const tensors = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]].map((v) =>
      Tensor.from(v, { device: "reference" })
    );
    const rule = convert(["q", "k", "v"], "qkv", [
      permuteForRope({ headDim: 4, heads: [1, 1, 0] }),
      concatenate(0),
    ]);
    const bound = bindRule(rule, tensors);
    const [joined] = bound.run(tensors);
    assertEquals([...referenceValues(joined)], [0, 2, 1, 3, 4, 6, 5, 7, 8, 9, 10]);
    const back = bound.reverse().run([joined]).map((t) => [...referenceValues(t)]);
    assertEquals(back, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]);
  });
});
