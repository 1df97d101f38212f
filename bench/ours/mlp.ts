import { RMSNormMLP } from "../../examples/rmsnorm-mlp/mod.ts";
import { kernelize } from "../../sdk/kernelize/mod.ts";
import { LlamaMLP, Module, RMSNorm } from "../../sdk/nn/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { numbers } from "../data.ts";
import type { Params } from "../protocol.ts";

/** A norm and an MLP as in a decoder layer, plain or with the example kernel. */
export async function mlpBlock(
  mode: string,
  params: Params,
): Promise<{ forward: () => Tensor; inputs: { dispose(): void }[] }> {
  const [rows, hidden, inner] = ["rows", "hidden", "inner"].map((n) => Number(params[n]));
  const block = new Block(hidden, inner);
  const fill = (p: { assign(t: Tensor): void; shape: readonly number[] }, seed: number, size: number) =>
    p.assign(Tensor.from(numbers(p.shape.reduce((a, b) => a * b, 1), seed, size), { shape: p.shape }));
  fill(block.norm.weight, 2, 1);
  fill(block.mlp.gate_proj.weight, 3, 1 / Math.sqrt(hidden));
  fill(block.mlp.up_proj.weight, 4, 1 / Math.sqrt(hidden));
  fill(block.mlp.down_proj.weight, 5, 1 / Math.sqrt(inner));
  const x = Tensor.from(numbers(rows * hidden, 1), { shape: [1, rows, hidden] });
  if (mode.includes("fused") && !mode.includes("unfused")) {
    await kernelize(block, {
      kernels: [{ fuse: [["RMSNorm", "norm"], ["LlamaMLP", "mlp"]], with: RMSNormMLP }],
    }, {
      inputs: [Tensor.empty([1, rows, hidden], { device: "meta" })],
    });
  }
  block.eval();
  return { forward: () => block.call(x), inputs: [x, block] };
}

// ---------------------------------------------------------------------------

class Block extends Module {
  norm: RMSNorm;
  mlp: LlamaMLP;

  constructor(hidden: number, inner: number) {
    super();
    this.norm = new RMSNorm(hidden, 1e-5);
    this.mlp = new LlamaMLP(hidden, inner);
  }

  override forward(x: Tensor): Tensor {
    return this.mlp.call(this.norm.call(x));
  }
}
