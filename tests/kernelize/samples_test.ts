import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../mod.ts";
import { fuse, kernelize, planKernelize, replace, tune } from "../../sdk/kernelize/mod.ts";
import { Module } from "../../sdk/nn/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { Block, NormMLP, WIDTH } from "./fixtures.ts";
import { RightNorm } from "./verify_fixtures.ts";

/** The rows that models are traced with. Not theirs: a trace puts their properties back. */
const seen: number[] = [];

class Root extends Module {
  block = new Block();
  override forward(x: Tensor): Tensor {
    seen.push(x.shape[0]);
    return this.block.call(x);
  }
}

const rows = (n: number) => Tensor.empty([n, WIDTH], { device: "meta" });
const fused = { kernels: [fuse(["RMSNorm", "LlamaMLP"], NormMLP)] };

describe("what a model is run with", () => {
  it("is one call as inputs, and several as samples", async () => {
    for (
      const [given, expected] of [[{ inputs: [rows(2)] }, [2]], [{ samples: [[rows(2)], [rows(3)]] }, [
        2,
        3,
      ]]] as const
    ) {
      seen.length = 0;
      const { report } = await planKernelize(new Root(), fused, given);
      assertEquals([report.swapped.length, [...new Set(seen)]], [1, expected]);
    }
  });

  it("is refused where it is neither, or both", async () => {
    const one = [rows(2)];
    for (
      const [given, said] of [
        [{ inputs: one, samples: [one] }, "kernelize(): options has both inputs and samples"],
        [{ samples: one }, "kernelize(): options.samples[0] is an object"],
        [{ inputs: rows(2) }, "kernelize(): options.inputs is an object"],
        [
          { verify: { inputs: one, samples: [one] } },
          "kernelize(): options.verify has both inputs and samples",
        ],
        [{ tune: { samples: one } }, "kernelize(): options.tune.samples[0] is an object"],
      ] as [object, string][]
    ) {
      await refused(() => kernelize(new Root(), fused, given), said);
    }
  });
});

describe("an option that is not known", () => {
  const config = { kernels: [replace("RMSNorm", RightNorm)] };
  const model = new Root();

  it("is named by kernelize, planKernelize and tune, with the nearest that is", async () => {
    for (
      const [given, said] of [
        [{ sample: [] }, 'options has an option "sample" that is not known\n  Did you mean "samples"?'],
        [
          { verify: { onfail: "report" } },
          'options.verify has an option "onfail" that is not known\n  Did you mean "onFail"?',
        ],
        [
          { tune: { caches: false } },
          'options.tune has an option "caches" that is not known\n  Did you mean "cache"?',
        ],
        [{ toString: 1 }, 'options has an option "toString" that is not known'],
        [{ verify: true }, "options.verify is true"],
        [{ verify: { onFail: "fallbak" } }, 'options.verify.onFail is "fallbak"\n  It must be "error" or'],
        [{ verify: { onSlower: "error" } }, 'options.verify.onSlower is "error"'],
        [{ mode: "infernce" }, 'options.mode is "infernce"'],
      ] as [object, string][]
    ) {
      await refused(() => kernelize(model, config, given), `kernelize(): ${said}`);
      await refused(() => planKernelize(model, config, given), `planKernelize(): ${said}`);
    }
    await refused(
      () => tune(model, { inputs: [], round: 1 } as object),
      'tune(): options has an option "round"',
    );
  });
});

/** Fails at once or later, and says so. */
async function refused(fn: () => Promise<unknown>, said: string): Promise<void> {
  const error = await assertRejects(async () => await fn(), KernelwrightError);
  assertEquals([error.code, error.message.includes(said)], ["KW-ARGUMENT", true], error.message);
}
