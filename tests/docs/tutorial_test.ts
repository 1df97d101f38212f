import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { assert, assertEquals } from "@std/assert";
import { join, toFileUrl } from "@std/path";
import type { KernelClass } from "@kernelwright/sdk";
import { parseKernelConfig } from "@kernelwright/sdk/config";
import { checkKernel } from "@kernelwright/sdk/testing";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { modelFolder } from "../helpers/models.ts";
import { deno } from "./deno.ts";
import { FILES, KERNELS_JSON, OF_FAST_NORM, tutorialFolder } from "./tutorial_folder.ts";

const OTHERS = ["squared_relu.ts", "squared_relu_test.ts", "app.ts"];
let folder = "";

describe("the tutorial", () => {
  gpuForFile();
  beforeAll(async () => {
    folder = await tutorialFolder();
  });
  afterAll(() => Deno.removeSync(folder, { recursive: true }));

  it("says of each complete block which file it is", () => {
    assertEquals(FILES.map((b) => b.file), [...OF_FAST_NORM, ...OTHERS]);
  });

  it("leads to a kernel that passes its test", async () => {
    const { FastNorm } = await import(toFileUrl(join(folder, "fast-norm", "mod.ts")).href) as {
      FastNorm: KernelClass;
    };
    assertEquals(await checkKernel(FastNorm), new Map());
  });

  it("shows a kernel of a module of one's own that passes its test", async () => {
    const output = await deno(["test", "-A", "--no-check"], ["squared_relu_test.ts"], folder);
    assert(output.includes("FastSquaredReLU ... ok"), output);
  });

  it("shows a kernels.json that is one", () => {
    assertEquals(parseKernelConfig(JSON.parse(KERNELS_JSON)).kernels.length, 2);
  });

  it("shows a program that puts both kernels into a model", async () => {
    const model = modelFolder("stories260k");
    if (!model) return;
    const output = await deno(["run", "-A", "--no-check"], ["app.ts", model], folder);
    for (const name of ["FastNorm", "NormMLP"]) assert(output.includes(name), output);
    assert(output.includes("argmax equal at"), output);
    assert(output.includes("there was a little girl"), output);
  });
});
