/** RMSNorm's kernels, right, wrong and slow, and a model of norms and projections. */
import { dispatch, kernel, replaces, shader } from "../../mod.ts";
import { Linear, Module, ModuleList, RMSNorm } from "../../sdk/nn/mod.ts";
import { add } from "../../sdk/ops/mod.ts";
import { keep, scope, Tensor } from "../../sdk/tensor/mod.ts";

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
export class RightNorm {
  forward(this: RMSNorm, x: Tensor): Tensor {
    return run(right, this, x);
  }
}

/** Right, and walks each row five hundred times; its kernel runs it so often that no busy machine finds it fast. */
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
export class SlowNorm {
  forward(this: RMSNorm, x: Tensor): Tensor {
    for (let i = 0; i < 15; i++) run(slow, this, x);
    return run(slow, this, x);
  }
}

@kernel({ site: replaces(RMSNorm) })
export class NormWithoutEpsilon {
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

export class Model extends Module {
  blocks = new ModuleList(Array.from({ length: 3 }, () => new Block()));
  override forward(x: Tensor): Tensor {
    for (const b of this.blocks) x = b.call(x);
    return x;
  }
  exampleInputs(): unknown[][] {
    return [[Tensor.empty([2, 24], { device: "meta" })]];
  }
}

export function filled(): Model {
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

export const input = () =>
  Tensor.from(Float32Array.from({ length: 48 }, (_, i) => Math.sin(i)), { shape: [2, 24] });

export async function output(model: Model, x: Tensor): Promise<ArrayLike<number>> {
  const y = keep(scope(() => model.call(x)));
  const data = await y.data();
  y.dispose();
  return data;
}
