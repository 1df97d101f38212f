import { dispatch, gpuIfOpen, kernel, type Shader, shader, Tensor } from "@kernelwright/sdk";
import { QKVParallelLayout, site } from "./layout.ts";
import { projectQKV } from "./project_qkv.ts";

/** `x · Wᵀ + b` for three weights in one dispatch. Each sibling hands out its part when its turn comes. */
@kernel({ site, layout: QKVParallelLayout, version: "0.2.0", requires: { dtypes: ["f32", "f16"] } })
export class QKVParallel {
  /** `[..., in_features]` → `[..., q]`, `[..., k]`, `[..., v]`. */
  forward(this: QKVParallelLayout, x: Tensor): [Tensor, Tensor, Tensor] {
    const [, depth] = this.weight.shape;
    const rows = depth === 0 ? 0 : x.size / depth;
    const { dtype } = x;
    const make = (size: number) => Tensor.empty([...x.shape.slice(0, -1), size], { dtype });
    const [q, k, v] = [make(this.sizes[0]), make(this.sizes[1]), make(this.sizes[2])];
    const block = chooseBlock(rows);
    const together = this.sizes.every((size) => size % 4 === 0) ? 4 : 1;
    const blocks = this.sizes.map((size) => Math.ceil(size / block.columns));
    dispatch(blockShader(block.rows, block.columns, together), {
      x,
      weight: this.weight,
      bias: this.bias ?? this.weight, // not read where has_bias is 0
      q,
      k,
      v,
      params: { rows, steps: depth / 4, sizes: this.sizes, blocks, has_bias: this.bias ? 1 : 0 },
    }, {
      workgroups: [Math.ceil((blocks[0] + blocks[1] + blocks[2]) / 8), Math.ceil(rows / block.rows)],
      types: together === 4
        ? { V: `vec4<${dtype}>`, O: `vec4<${dtype}>`, S: "vec4<f32>" }
        : { V: `vec4<${dtype}>`, O: dtype, S: "f32" },
    });
    return [q, k, v];
  }
}

// ---------------------------------------------------------------------------

/**
 * Few rows are all in one block, so that a weight is loaded once. Many are cut evenly, 18 into 12 and 6 and not into 16
 * and 2, in blocks as large as pays: 256 sums spill out of the registers, and a software device gains by it, where a
 * GPU would lose.
 */
function chooseBlock(rows: number): { rows: number; columns: number } {
  const most = gpuIfOpen()?.info.software ? 16 : 8;
  const even = Math.ceil(rows / Math.ceil(Math.max(1, rows) / most));
  if (even <= 1) return { rows: 1, columns: 4 };
  return { rows: even === 2 ? 2 : Math.ceil(even / 4) * 4, columns: most };
}

const shaders = new Map<string, Shader>();

function blockShader(rows: number, columns: number, together: 4 | 1): Shader {
  const name = `project_qkv ${rows}x${columns}, ${together} at once`;
  let made = shaders.get(name);
  if (!made) shaders.set(name, made = shader({ name, code: projectQKV(rows, columns, together) }));
  return made;
}
