import { describe, it } from "@std/testing/bdd";
import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import type { KernelwrightError } from "@kernelwright/sdk";
import { checksOf } from "../../sdk/testing/checks.ts";
import { Subject } from "../../sdk/testing/subject.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { type Mutant, plant } from "./mutant.ts";

const swiglu = { folder: "examples/swiglu", kernel: "SwiGLU", caughtBy: [] };

const MISSPELT: Mutant = {
  bug: "a binding is misspelt",
  ...swiglu,
  edits: [["swiglu.wgsl", "read> gate:", "read> gaet:"], ["swiglu.wgsl", "f32(gate[i])", "f32(gaet[i])"]],
};

describe("testKernel() of a kernel that does not run", () => {
  gpuForFile();

  it("tells the kernel's own error where it tries sizes, with its code and advice", async () => {
    const error = await failure(MISSPELT, "sizes of any kind");
    assertEquals(error.code, "KW-DISPATCH-NAME");
    assertMatch(error.message, /Given, but not in the shader: gate/);
    assertMatch(error.message, /the smallest sizes that fail: \{ batch: 1/);
  });

  it("says that a result was kept from another call", async () => {
    const error = await failure({
      bug: "the first result is given again",
      ...swiglu,
      edits: [
        ["kernel.ts", "const swiglu =", "let kept: Tensor | undefined;\nconst swiglu ="],
        ["kernel.ts", "return out;", "return kept ??= out;"],
      ],
    }, "parity with the modules");
    assertEquals(error.code, "KW-TEST-CHECK");
    assertMatch(error.message, /returned a tensor on meta[^]*kept from another call/);
  });

  it("fails once for each element type, and not in every check", async () => {
    const output = await inFolder(async (folder) => {
      await plant(MISSPELT, folder);
      const file = join(folder, "kernel_test.ts");
      Deno.writeTextFileSync(
        file,
        'import { testKernel } from "@kernelwright/sdk/testing";\nimport { SwiGLU } from "./mod.ts";\n' +
          "testKernel(SwiGLU);\n",
      );
      const config = fromFileUrl(new URL("../../deno.json", import.meta.url));
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["test", "-A", "--no-check", `--config=${config}`, file],
        env: { NO_COLOR: "1" },
      }).output();
      return new TextDecoder().decode(stdout);
    });
    assertEquals(output.match(/\S.*(?= \.\.\. FAILED \()/g)?.slice(0, -1), [
      "f32: parity with the modules",
      "f16: parity with the modules",
    ], output);
    assertMatch(output, /skipped: the kernel does not run/);
  });
});

async function failure(mutant: Mutant, name: string): Promise<KernelwrightError> {
  return await inFolder(async (folder) => {
    const check = checksOf(new Subject(await plant(mutant, folder), {})).find((c) => c.name === name)!;
    return await check.run("f32").then(() => undefined, (error) => error);
  });
}

async function inFolder<T>(fn: (folder: string) => Promise<T>): Promise<T> {
  const folder = Deno.makeTempDirSync({ prefix: "kernelwright-broken-" });
  try {
    return await fn(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
