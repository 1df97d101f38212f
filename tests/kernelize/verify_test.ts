import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { dispatch, kernel, replaces, shader } from "../../mod.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import { kernelize, replace, unkernelize } from "../../sdk/kernelize/mod.ts";
import { Linear, Module, ModuleList, RMSNorm } from "../../sdk/nn/mod.ts";
import { add, mul } from "../../sdk/ops/mod.ts";
import { keep, scope, Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";

const HEAD = `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
struct Params { rows: u32, cols: u32, eps: f32 }
@group(0) @binding(3) var<uniform> params: Params;
@compute @workgroup_size(1) fn main(@builtin(workgroup_id) id: vec3u) {
  var squares = 0.0;
  for (var i = 0u; i < params.cols; i++) { squares += x[id.x * params.cols + i] * x[id.x * params.cols + i]; }
  let mean = squares / f32(params.cols);
`;
const TAIL = `
  for (var i = 0u; i < params.cols; i++) {
    out[id.x * params.cols + i] = x[id.x * params.cols + i] * inv * weight[i];
  }
}`;
const right = shader({
  name: "right.wgsl",
  code: `${HEAD} let inv = inverseSqrt(mean + params.eps); ${TAIL}`,
});
const withoutEpsilon = shader({
  name: "without_eps.wgsl",
  code: `${HEAD} let inv = inverseSqrt(mean + 0.0 * params.eps); ${TAIL}`,
});

function run(code: typeof right, norm: RMSNorm, x: Tensor): Tensor {
  const out = Tensor.empty(x.shape);
  const params = { rows: x.size / norm.hidden_size, cols: norm.hidden_size, eps: norm.eps };
  dispatch(code, { x, weight: norm.weight, out, params }, { workgroups: params.rows });
  return out;
}

@kernel({ site: replaces(RMSNorm) })
class RightNorm {
  forward(this: RMSNorm, x: Tensor): Tensor {
    return run(right, this, x);
  }
}

/** Right, and walks each row five hundred times. */
const slow = shader({
  name: "slow.wgsl",
  code: `${HEAD} var inv = 0.0;
  for (var round = 0u; round < 500u; round++) {
    var again = 0.0;
    for (var i = 0u; i < params.cols; i++) { again += x[id.x * params.cols + i] * x[id.x * params.cols + i]; }
    inv = inverseSqrt(max(mean, again / f32(params.cols)) + params.eps);
  } ${TAIL}`,
});

@kernel({ site: replaces(RMSNorm) })
class SlowNorm {
  forward(this: RMSNorm, x: Tensor): Tensor {
    return run(slow, this, x);
  }
}

@kernel({ site: replaces(RMSNorm) })
class NormWithoutEpsilon {
  forward(this: RMSNorm, x: Tensor): Tensor {
    return run(withoutEpsilon, this, x);
  }
}

class Block extends Module {
  norm = new RMSNorm(24, 1e-5);
  proj = new Linear(24, 24, false);
  override forward(x: Tensor): Tensor {
    return add(x, this.proj.call(this.norm.call(x)));
  }
}

class Model extends Module {
  blocks = new ModuleList(Array.from({ length: 3 }, () => new Block()));
  override forward(x: Tensor): Tensor {
    for (const b of this.blocks) x = b.call(x);
    return x;
  }
  exampleInputs(): unknown[][] {
    return [[Tensor.empty([2, 24], { device: "meta" })]];
  }
}

function filled(): Model {
  const model = new Model();
  let seed = 1;
  for (const [, p] of model.namedParameters()) {
    p.assign(
      Tensor.from(Float32Array.from({ length: p.size }, () => Math.sin(seed++ * 1.7) * 0.5 + 0.2), {
        shape: p.shape,
      }),
    );
  }
  return model;
}

const input = () => Tensor.from(Float32Array.from({ length: 48 }, (_, i) => Math.sin(i)), { shape: [2, 24] });

async function output(model: Model, x: Tensor): Promise<ArrayLike<number>> {
  const y = keep(scope(() => model.call(x)));
  const data = await y.data();
  y.dispose();
  return data;
}

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

  it("counts elements that are no numbers in one of the two", async () => {
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
