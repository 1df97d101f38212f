/** A norm with constants to tune, gross in their effect, and models of it. */
import { dispatch, fusesParallel, kernel, replaces, shader, Tensor, tuned } from "../../mod.ts";
import { replace } from "../../sdk/kernelize/mod.ts";
import { layer, Linear, Module, ModuleList, RMSNorm } from "../../sdk/nn/mod.ts";
import { linear, slice } from "../../sdk/ops/mod.ts";
import { keep, scope } from "../../sdk/tensor/mod.ts";
import { QKVLayout } from "./fixtures.ts";

const WIDTH = 24;
export const site = replaces(RMSNorm);
const parallelSite = fusesParallel({ q: Linear }, { k: Linear }, { v: Linear });

// WORK repeats the sum: 1 is right and fast, 2000 right and slow, the more so as it is run many times over: no machine
// is so busy that it takes the one for the other. WRONG adds to the result.
export const norm = shader({
  name: "tuned_norm.wgsl",
  code: `
@id(7) override WORK: u32;
override WRONG: u32;
@id(0) override TILE: u32;
struct Params { rows: u32, cols: u32, eps: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;
@compute @workgroup_size(TILE) fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.rows) { return; }
  var squares = 0.0;
  for (var again = 0u; again < WORK; again++) {
    squares = squares * 0.5;
    var sum = 0.0;
    for (var i = 0u; i < params.cols; i++) { let v = x[row * params.cols + i]; sum += v * v; }
    squares = select(0.5 * sum + squares, sum, again == 0u);
  }
  let inv = inverseSqrt(squares / f32(params.cols) + params.eps);
  for (var i = 0u; i < params.cols; i++) {
    out[row * params.cols + i] = x[row * params.cols + i] * inv * weight[i] + f32(WRONG);
  }
}`,
});

/** What each call of a forward was told. */
export const told: Record<string, number>[] = [];

function run(self: RMSNorm, x: Tensor, constants: Record<string, number>): Tensor {
  told.push(constants);
  const out = Tensor.empty(x.shape);
  const params = { rows: x.size / self.hidden_size, cols: self.hidden_size, eps: self.eps };
  for (let i = 0; i < timesOver(constants.WORK); i++) {
    dispatch(norm, { x, weight: self.weight, out, params }, {
      workgroups: Math.ceil(params.rows / constants.TILE),
      constants,
    });
  }
  return out;
}

const timesOver = (work: number) => work > 1 ? 8 : 1;

@kernel({ site, version: "1.0.0", tune: { WORK: [2000, 1], TILE: [4] } })
export class SlowByDefault {
  forward(this: RMSNorm, x: Tensor): Tensor {
    return run(this, x, { ...tuned({ WORK: 2000, TILE: 4 }), WRONG: 0 });
  }
}

@kernel({ site, tune: { WORK: [1, 2000], WRONG: [0, 1], TILE: [4, 1 << 20] } })
export class WrongOrTooLarge {
  forward(this: RMSNorm, x: Tensor): Tensor {
    return run(this, x, tuned({ WORK: 2000, WRONG: 0, TILE: 4 }));
  }
}

@kernel({ site, tune: { TILE: [2, 4] } })
export class Misspelt {
  forward(this: RMSNorm, x: Tensor): Tensor {
    return run(this, x, { ...tuned({ TILES: 4 } as unknown as { TILE: number }), WORK: 1, WRONG: 0 });
  }
}

// Far too many workgroups with SPREAD: known on the device only.
@kernel({ site, tune: { SPREAD: [1, 100_000] } })
export class Spread {
  forward(this: RMSNorm, x: Tensor): Tensor {
    const { SPREAD } = tuned({ SPREAD: 1 });
    const out = Tensor.empty(x.shape);
    const params = { rows: x.size / this.hidden_size, cols: this.hidden_size, eps: this.eps };
    dispatch(norm, { x, weight: this.weight, out, params }, {
      workgroups: params.rows * SPREAD,
      constants: { WORK: 1, WRONG: 0, TILE: 4 },
    });
    return out;
  }
}

/** A module with a norm inside. */
@layer("Holder")
export class Holder extends Module {
  norm = new RMSNorm(WIDTH, 1e-5);
  override forward(x: Tensor): Tensor {
    return this.norm.call(x);
  }
}

// Looks into the module that it stands for.
@kernel({ site: replaces(Holder), tune: { WORK: [2000, 1] } })
export class SlowHolder {
  forward(this: Holder, x: Tensor): Tensor {
    return run(this.norm, x, { ...tuned({ WORK: 2000 }), TILE: 4, WRONG: 0 });
  }
}

// Fast, and right as long as the rows fill the last workgroup.
@kernel({ site, tune: { WORK: [2000, 1] } })
export class OpenEdge {
  forward(this: RMSNorm, x: Tensor): Tensor {
    const { WORK } = tuned({ WORK: 2000 });
    const out = Tensor.zeros(x.shape);
    const params = { rows: x.size / this.hidden_size, cols: this.hidden_size, eps: this.eps };
    for (let i = 0; i < timesOver(WORK); i++) {
      dispatch(norm, { x, weight: this.weight, out, params }, {
        workgroups: WORK === 1 ? Math.floor(params.rows / 4) : Math.ceil(params.rows / 4),
        constants: { WORK, WRONG: 0, TILE: 4 },
      });
    }
    return out;
  }
}

// Constants are the forward's own business: here, how it splits one product.
@kernel({ site: parallelSite, layout: QKVLayout, tune: { SHIFT: [0, 1], REPEAT: [200, 1] } })
export class TunedQKV {
  forward(this: QKVLayout, x: Tensor): [Tensor, Tensor, Tensor] {
    const { SHIFT, REPEAT } = tuned({ SHIFT: 0, REPEAT: 200 });
    let all = linear(x, this.qkv);
    for (let i = 1; i < REPEAT; i++) all = linear(x, this.qkv);
    const part = (from: number, size: number) => slice(all, all.rank - 1, from, from + size);
    const [q, k, v] = this.sizes;
    return [part(0, q), part(q - SHIFT, k), part(q + k, v)];
  }
}

export class Model extends Module {
  norms = new ModuleList(Array.from({ length: 2 }, () => new RMSNorm(WIDTH, 1e-5)));
  override forward(x: Tensor): Tensor {
    for (const n of this.norms) x = n.call(x);
    return x;
  }
  exampleInputs(): unknown[][] {
    return [[Tensor.empty([3, WIDTH], { device: "meta" })]];
  }
}

export function filled<M extends Module = Model>(model: M = new Model() as Module as M): M {
  let seed = 1;
  for (const [, p] of model.namedParameters()) {
    p.assign(Tensor.from(Float32Array.from({ length: p.size }, () => Math.sin(seed++)), { shape: p.shape }));
  }
  return model;
}

export const input = (rows = 3) =>
  Tensor.from(Float32Array.from({ length: rows * WIDTH }, (_, i) => Math.sin(i)), { shape: [rows, WIDTH] });

export async function output(fn: () => Tensor): Promise<number[]> {
  using y = keep(scope(fn));
  return [...await y.data() as Float32Array];
}

export const with_ = (cls: typeof SlowByDefault) => ({ kernels: [replace("RMSNorm", cls)] });
export const QUICK = { rounds: 3, train: 4 };
export const FAST = { WORK: 1, TILE: 4 };
export const SLOW = { WORK: 2000, TILE: 4 };
