/** The folder that a reader of the tutorial has at its end. @module */
import { join } from "@std/path";
import { newKernel } from "../../sdk/cli/new_kernel/new_kernel.ts";
import { type Block, blocksOf } from "./page.ts";

/** The tutorial's blocks. */
export const BLOCKS: readonly Block[] = blocksOf("docs/tutorial.md");

/** Its blocks that are whole files. */
export const FILES: readonly Block[] = BLOCKS.filter((b) => ["ts", "wgsl"].includes(b.language));

/** Those that take the place of what new-kernel wrote. */
export const OF_FAST_NORM: readonly string[] = ["layout.ts", "rms_norm.ts", "rms_norm.wgsl"];

/** Its kernels.json. */
export const KERNELS_JSON: string = BLOCKS.find((b) => b.language === "json" && b.file === "kernels.json")!
  .code;

/** Writes what new-kernel writes, and over it what the page shows. The caller removes the folder. */
export async function tutorialFolder(): Promise<string> {
  const folder = Deno.makeTempDirSync({ prefix: "kernelwright-tutorial-" });
  const norm = join(folder, "fast-norm");
  await newKernel("FastNorm", { replaces: "RMSNorm", dir: norm, yes: true });
  await newKernel("NormMLP", { fuses: "RMSNorm,LlamaMLP", dir: join(folder, "norm-mlp"), yes: true });
  for (const { file, code } of FILES) {
    Deno.writeTextFileSync(join(OF_FAST_NORM.includes(file!) ? norm : folder, file!), code);
  }
  const kernel = join(norm, "kernel.ts");
  Deno.writeTextFileSync(kernel, Deno.readTextFileSync(kernel).replace("this.weight", "this.scale"));
  Deno.writeTextFileSync(join(folder, "kernels.json"), KERNELS_JSON);
  return folder;
}
