import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  convert,
  dispatch,
  fuses,
  kernel,
  kernelize,
  Layout,
  layout,
  Module,
  type Parameter,
  parameter,
  rename,
  replaceableFunction,
  replaces,
  shader,
  Tensor,
  transpose,
  unkernelize,
} from "../../mod.ts";
import { relu } from "@kernelwright/sdk/ops";
import { Linear, SiLU } from "@kernelwright/sdk/nn";
import { fuse, replace } from "@kernelwright/sdk/config";
import { keep, scope } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";

/** A function that a model's author made replaceable. */
const ClippedLinear = replaceableFunction("clipped_linear", (x: Tensor) => relu(x));

class TwoLayers extends Module {
  up = new Linear(12, 20, false);
  act = new SiLU();
  down = new Linear(20, 12, false);
  gate = new ClippedLinear();
  override forward(x: Tensor): Tensor {
    return this.gate.call(this.down.call(this.act.call(this.up.call(x))));
  }
  exampleInputs(): unknown[][] {
    return [[Tensor.empty([3, 12], { device: "meta" })]];
  }
}

const site = fuses({ up: Linear }, { act: SiLU }, { down: Linear });

@layout({ site, conversions: [convert("up.weight", "up", [transpose(0, 1)]), rename("down.weight", "down")] })
class ThreeLayout extends Layout {
  up: Parameter;
  down: Parameter;
  constructor(up: Linear, _act: SiLU, down: Linear) {
    super();
    this.up = parameter([up.in_features, up.out_features]);
    this.down = parameter([down.out_features, down.in_features]);
  }
}

const three = shader({
  name: "three.wgsl",
  code: `
struct Params { width: u32, inner: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> up: array<f32>;
@group(0) @binding(2) var<storage, read> down: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;
@compute @workgroup_size(1) fn main(@builtin(workgroup_id) id: vec3u) {
  var sum = 0.0;
  for (var j = 0u; j < params.inner; j++) {
    var h = 0.0;
    for (var i = 0u; i < params.width; i++) { h += x[id.y * params.width + i] * up[i * params.inner + j]; }
    sum += down[id.x * params.inner + j] * h / (1.0 + exp(-h));
  }
  out[id.y * params.width + id.x] = sum;
}`,
});

@kernel({ site, layout: ThreeLayout })
class Three {
  forward(this: ThreeLayout, x: Tensor): Tensor {
    const [width, inner] = this.down.shape;
    const out = Tensor.empty(x.shape);
    dispatch(three, { x, up: this.up, down: this.down, out, params: { width, inner } }, {
      workgroups: [width, x.size / width],
    });
    return out;
  }
}

const clip = shader({
  name: "relu.wgsl",
  code: `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(1) fn main(@builtin(workgroup_id) id: vec3u) { out[id.x] = max(x[id.x], 0.0); }`,
});

@kernel({ site: replaces(ClippedLinear) })
class FastClippedLinear {
  forward(this: InstanceType<typeof ClippedLinear>, x: Tensor): Tensor {
    const out = Tensor.empty(x.shape);
    dispatch(clip, { x, out }, { workgroups: x.size });
    return out;
  }
}

function filled(): TwoLayers {
  const model = new TwoLayers();
  let i = 1;
  for (const [, p] of model.namedParameters()) {
    p.assign(
      Tensor.from(Float32Array.from({ length: p.size }, () => Math.sin(i++ * 2.3)), { shape: p.shape }),
    );
  }
  return model;
}

async function output(model: TwoLayers, x: Tensor): Promise<Float32Array> {
  using y = keep(scope(() => model.call(x)));
  return await y.data() as Float32Array;
}

describe("a fusion of three parts, one of them without parameters", () => {
  gpuForFile();

  it("computes what the three compute, and gives them back", async () => {
    using model = filled();
    using x = Tensor.from(Float32Array.from({ length: 36 }, (_, i) => Math.cos(i)), { shape: [3, 12] });
    const before = await output(model, x);
    const { up, act, down } = model;
    const report = await kernelize(model, {
      kernels: [fuse(
        ["Linear", "SiLU", "Linear"].map((n, i) => [n, ["up", "act", "down"][i]] as const),
        Three,
      )],
    });
    assertEquals(report.swapped[0].paths, ["up", "act", "down"]);
    const after = await output(model, x);
    assert(Math.max(...after.map((v, i) => Math.abs(v - before[i]))) < 1e-4);
    unkernelize(model);
    assert(model.up === up && model.act === act && model.down === down);
    assertEquals(await output(model, x), before);
  });

  it("is refused where the middle one is left out", async () => {
    using model = filled();
    const two = [["Linear", "up"], ["Linear", "down"]] as const;
    await assertRejects(() => kernelize(model, { kernels: [fuse(two, Three)] }), Error, "KW-SIGNATURE-ARITY");
  });
});

describe("a replaceable function", () => {
  gpuForFile();

  it("is swapped where a module holds it, and nowhere else", async () => {
    using model = filled();
    using other = filled();
    using x = Tensor.from(Float32Array.from({ length: 36 }, (_, i) => Math.cos(i)), { shape: [3, 12] });
    const before = await output(model, x);
    const report = await kernelize(model, { kernels: [replace("clipped_linear", FastClippedLinear)] }, {
      verify: { inputs: [x] },
    });
    assertEquals(report.swapped.map((s) => s.path), ["gate"]);
    assert(Object.hasOwn(model.gate, "forward") && !Object.hasOwn(other.gate, "forward"));
    assertEquals(await output(model, x), before);
    unkernelize(model);
    assert(!Object.hasOwn(model.gate, "forward"));
  });
});
