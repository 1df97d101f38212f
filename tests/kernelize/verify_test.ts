import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { memory } from "../../sdk/gpu/mod.ts";
import { kernelize, replace, unkernelize } from "../../sdk/kernelize/mod.ts";
import { mul } from "../../sdk/ops/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { filled, input, NormWithoutEpsilon, output, RightNorm, SlowNorm } from "./verify_fixtures.ts";

describe("kernelize() with verify", () => {
  gpuForFile();

  const wrongAtOne = {
    kernels: [replace("RMSNorm", RightNorm), replace("RMSNorm", NormWithoutEpsilon, { at: "blocks.1.norm" })],
  };

  it("reports the kernel's and the original's distance from float64, on three kinds of input", async () => {
    using model = filled();
    using x = input();
    const report = await kernelize(model, { kernels: [replace("RMSNorm", RightNorm)] }, {
      verify: { inputs: [x] },
    });
    assertEquals(report.swapped.length, 3);
    for (const site of report.sites) {
      assertEquals(site.differences?.map((d) => d.inputs), ["real", "outliers", "tiny"]);
      for (const d of site.differences!) {
        assert(d.passed && d.kernelError! < 1e-4 && d.originalError! < 1e-4, JSON.stringify(d));
      }
    }
    assertEquals([report.endToEnd?.sameArgmax, report.endToEnd?.positions], [2, 2]);
    unkernelize(model);
  });

  it("names the site of a kernel that leaves the epsilon out, with the figure, and changes nothing", async () => {
    using model = filled();
    using x = input();
    const norm = model.blocks[1].norm;
    const before = await output(model, x);
    const tensors = memory().tensors;
    const error = await assertRejects(
      () => kernelize(model, wrongAtOne, { verify: { inputs: [x] } }),
      Error,
      "KW-VERIFY",
    );
    // mean(x²) of the tiny activations is about the epsilon: 1/√mean against 1/√(mean + eps).
    assert(
      /NormWithoutEpsilon at "blocks\.1\.norm" on tiny inputs: off by \d/.test((error as Error).message),
      (error as Error).message,
    );
    assert(!(error as Error).message.includes("blocks.0"), (error as Error).message);
    assert(model.blocks[1].norm === norm && !Object.hasOwn(norm, "forward"));
    assertEquals(await output(model, x), before);
    assertEquals(memory().tensors, tensors);
  });

  it("leaves the original where a kernel fails and fallback is wanted: the logits there are the original's", async () => {
    using model = filled();
    using x = input();
    const wrong = { kernels: [replace("RMSNorm", NormWithoutEpsilon, { at: "blocks.1.norm" })] };
    const before = await output(model, x);
    const report = await kernelize(model, wrong, { verify: { inputs: [x], onFail: "fallback" } });
    assertEquals(report.swapped.length, 0);
    assert(
      report.at("blocks.1.norm")!.reason.startsWith("NormWithoutEpsilon is off by"),
      report.at("blocks.1.norm")!.reason,
    );
    assertEquals(report.at("blocks.1.norm")!.considered.map((c) => c.taken), [false]);
    assertEquals(await output(model, x), before);
  });

  it("leaves the original where a kernel is slower and only a faster one is wanted", async () => {
    using model = filled();
    using x = input();
    const config = { kernels: [replace("RMSNorm", SlowNorm, { at: "blocks.1.norm" })] };
    const kept = await kernelize(model, config, { verify: { inputs: [x], onSlower: "fallback" } });
    const { ms, reason } = kept.at("blocks.1.norm")!;
    if (!ms) return; // an adapter without timestamp queries keeps what it cannot time
    assertEquals(kept.swapped.length, 0);
    assert(/^SlowNorm takes \d+\.\d\d× the original's time$/.test(reason), reason);
    const said = await kernelize(model, config, { verify: { inputs: [x] } });
    assertEquals(said.swapped.length, 1);
    unkernelize(model);
  });

  it("swaps and only says so where a report is wanted", async () => {
    using model = filled();
    using x = input();
    const report = await kernelize(model, wrongAtOne, { verify: { inputs: [x], onFail: "report" } });
    assertEquals(report.swapped.length, 3);
    assertEquals(report.sites.map((s) => s.differences!.every((d) => d.passed)), [true, false, true]);
    assert(String(report).includes("differs on tiny inputs"), String(report));
    unkernelize(model);
  });

  it("runs every sample, and keeps the worst", async () => {
    using model = filled();
    using a = input();
    using factor = Tensor.from([0.001]);
    using b = mul(a, factor);
    const one = await kernelize(model, wrongAtOne, { verify: { inputs: [a], onFail: "report" } });
    const two = await kernelize(model, wrongAtOne, { verify: { samples: [[a], [b]], onFail: "report" } });
    const real = (r: typeof one) => r.at("blocks.1.norm")!.differences!.find((d) => d.inputs === "real")!;
    assert(real(two).absolute >= real(one).absolute);
    unkernelize(model);
  });

  it("counts elements that are NaN in one of the two", async () => {
    using model = filled();
    using x = input();
    using zero = Tensor.zeros([2, 24]);
    // Without the epsilon, a row of zeros gives 0 · ∞.
    const config = { kernels: [replace("RMSNorm", NormWithoutEpsilon, { at: "blocks.0.norm" })] };
    const report = await kernelize(model, config, { verify: { samples: [[x], [zero]], onFail: "report" } });
    assertEquals(report.at("blocks.0.norm")!.differences![0].nan, 48);
    unkernelize(model);
  });
});
