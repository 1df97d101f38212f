/** References that lead nowhere. */
import { fromFileUrl } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { type KernelConfig, kernelize } from "@kernelwright/sdk";
import { replace } from "@kernelwright/sdk/config";
import { assertRefusedLater } from "../helpers/refused.ts";
import { Stack } from "./fixtures.ts";
import { fill, leavesUnchanged } from "./unchanged.ts";

const folder = fromFileUrl(new URL(".", import.meta.url)).replace(/\/$/, "");

async function refuses(
  kernels: KernelConfig["kernels"],
  message: string,
  base = new URL(import.meta.url),
): Promise<void> {
  const model = fill(new Stack());
  await leavesUnchanged(
    model,
    () => assertRefusedLater(() => kernelize(model, { kernels }, { base }), message),
  );
}

describe("a reference must", () => {
  it("lead to a file", () =>
    refuses(
      [replace("RMSNorm", "./nowhere:Norm")],
      `
        KW-REF-MISSING  kernels[0].with
          Cannot load "./nowhere:Norm": there is no such folder or file
          Looked for: ${folder}/nowhere/mod.ts, ${folder}/nowhere/mod.js, ${folder}/nowhere/kernel.json, ${Deno.cwd()}/nowhere/mod.ts, ${Deno.cwd()}/nowhere/mod.js, ${Deno.cwd()}/nowhere/kernel.json.`,
    ));
  it("mean what lies beside its config, not what this machine has by that name", () =>
    refuses(
      [replace("RMSNorm", "./tests/kernelize/fixtures.ts:Norm")],
      `
        KW-REF-SYNTAX  kernels[0].with
          Cannot load "./tests/kernelize/fixtures.ts:Norm": the config came from https://models.example/llama/kernels.json, and only local folders and files are resolved here
          Give a resolver that knows addresses, such as kernelResolver(), or name the kernel by its class.`,
      new URL("https://models.example/llama/kernels.json"),
    ));
  it("name an export", () =>
    refuses(
      [replace("RMSNorm", "./fixtures.ts:Nrom")],
      `
        KW-REF-EXPORT  kernels[0].with
          "./fixtures.ts:Nrom" exports no "Nrom"
          Known: "Norm", "NormForward", "NormMLP", "QKV".`,
    ));
  it("name a kernel", () =>
    refuses(
      [replace("RMSNorm", "./fixtures.ts:NormMLPLayout")],
      `
        KW-REF-EXPORT  kernels[0].with
          "NormMLPLayout" of "./fixtures.ts:NormMLPLayout" is not a kernel
          Known: "Norm", "NormForward", "NormMLP", "QKV".`,
    ));
});
