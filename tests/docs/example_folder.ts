/** The examples as files, in a folder that has what they use. @module */
import { join } from "@std/path";
import { ROOT } from "./deno.ts";
import type { PublicValue } from "./examples.ts";
import { KERNELS_JSON, writeTinyKernel } from "./tiny_kernel.ts";
import { writeTinyEmbedder, writeTinyModel, writeTinyVision } from "./tiny_model.ts";

/**
 * Writes each example into a file of its own, beside models, a kernel's package and a kernels.json. In the repository,
 * so that imports are found as its deno.json says; git ignores the folder. The caller removes it.
 */
export async function exampleFolder(
  values: readonly PublicValue[],
): Promise<{ folder: string; files: string[] }> {
  const folder = join(ROOT, ".cache", `examples-${crypto.randomUUID()}`);
  Deno.mkdirSync(folder, { recursive: true });
  await writeTinyModel(join(folder, "model"));
  await writeTinyEmbedder(join(folder, "sentences"));
  await writeTinyVision(join(folder, "vision"));
  await writeTinyKernel(join(folder, "fast-norm"));
  Deno.writeTextFileSync(join(folder, "kernels.json"), KERNELS_JSON);
  const examples = values.flatMap((v) => v.examples.map((code) => ({ ...v, code })));
  const files = examples.map(({ name, at, code }, i) => {
    const file = `${i}_${name}.ts`; // numbered: `Parameter` and `parameter` are one file on some disks
    Deno.writeTextFileSync(join(folder, file), `// ${at}\n${code}\nexport {};\n`);
    return file;
  });
  return { folder, files };
}
