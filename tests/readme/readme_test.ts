import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { kernelize, Module, Tensor } from "../../mod.ts";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";
import { parseKernelConfig } from "@kernelwright/sdk/config";
import type { KernelClass } from "../../mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";

const README = await Deno.readTextFile(new URL("../../README.md", import.meta.url));

class Block extends Module {
  norm = new RMSNorm(60, 1e-5);
  mlp = new LlamaMLP(60, 172);
  override forward(x: Tensor): Tensor {
    return this.mlp.call(this.norm.call(x));
  }
  exampleInputs(): unknown[][] {
    return [[Tensor.empty([3, 60], { device: "meta" })]];
  }
}

describe("the readme", () => {
  gpuForFile();

  it("shows a fused kernel that works as it stands there", async () => {
    const [code] = /(?<=```ts\n)import \{\s+concatenate[\s\S]*?(?=```)/.exec(README)!;
    // Beside its shaders, so that its imports are those of the page.
    const file = new URL(`./.readme-${crypto.randomUUID()}.ts`, import.meta.url);
    await Deno.writeTextFile(file, code);
    try {
      const { RMSNormMLP } = await import(file.href) as { RMSNormMLP: KernelClass };
      using block = new Block();
      let i = 1;
      for (const [, p] of block.namedParameters()) {
        p.assign(
          Tensor.from(Float32Array.from({ length: p.size }, () => Math.sin(i++ * 1.3)), { shape: p.shape }),
        );
      }
      using x = Tensor.from(Float32Array.from({ length: 180 }, (_, k) => Math.cos(k)), { shape: [3, 60] });
      const report = await kernelize(block, {
        kernels: [{ fuse: ["RMSNorm", "LlamaMLP"], with: RMSNormMLP }],
      }, {
        verify: { inputs: [x] },
      });
      assertEquals(report.swapped[0].paths, ["norm", "mlp"]);
      assert(report.swapped[0].differences!.every((d) => d.passed), String(report));
    } finally {
      await Deno.remove(file);
    }
  });

  it("shows a kernels.json that is one", () => {
    const [json] = /(?<=```json\n)[\s\S]*?(?=```)/.exec(README)!;
    assertEquals(parseKernelConfig(JSON.parse(json)).kernels.length, 2);
  });
});
