import { dispatch, kernel, shader, Tensor } from "@kernelwright/sdk";
import { QKVParallelLayout, site } from "./layout.ts";
import code from "./project_qkv.wgsl" with { type: "text" };

const projectQKV = shader({ name: "project_qkv.wgsl", code });

/** `x · Wᵀ + b` for three weights in one dispatch. Each sibling hands out its part when its turn comes. */
@kernel({ site, layout: QKVParallelLayout, version: "0.1.0", requires: { dtypes: ["f32", "f16"] } })
export class QKVParallel {
  /** `[..., in_features]` → `[..., q]`, `[..., k]`, `[..., v]`. */
  forward(this: QKVParallelLayout, x: Tensor): [Tensor, Tensor, Tensor] {
    const [, depth] = this.weight.shape;
    const rows = depth === 0 ? 0 : x.size / depth;
    const { dtype } = x;
    const make = (size: number) => Tensor.empty([...x.shape.slice(0, -1), size], { dtype });
    const [q, k, v] = [make(this.sizes[0]), make(this.sizes[1]), make(this.sizes[2])];
    const blocks = this.sizes.map((size) => Math.ceil(size / 4));
    dispatch(projectQKV, {
      x,
      weight: this.weight,
      bias: this.bias ?? this.weight, // not read where has_bias is 0
      q,
      k,
      v,
      params: { rows, steps: depth / 4, sizes: this.sizes, blocks, has_bias: this.bias ? 1 : 0 },
    }, {
      workgroups: [Math.ceil(blocks.reduce((a, b) => a + b, 0) / 16), Math.ceil(rows / 4)],
      types: { T: dtype, V: `vec4<${dtype}>` },
    });
    return [q, k, v];
  }
}
