import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { KernelwrightError } from "@kernelwright/sdk";
import { newKernel, type NewKernelOptions } from "../../sdk/cli/new_kernel/new_kernel.ts";

/** Every flag, and every template in one of them. What is written is checked and tested as its author would. */
const WRITTEN: [name: string, options: NewKernelOptions][] = [
  ["FastNorm", { replaces: "RMSNorm" }],
  ["MyLinear", { replaces: "Linear", scope: "@someone", license: "0BSD" }],
  ["NormMLP", { fuses: "RMSNorm,LlamaMLP", license: "none" }],
  ["NormProjAct", { fuses: "LayerNorm,Linear,GELU", license: "ISC" }],
  ["QKV", { fuses: "Linear,Linear,Linear", parallel: true }],
  ["Swish", { function: true }],
];

let folder = "";

describe("new-kernel", () => {
  beforeAll(() => {
    folder = Deno.makeTempDirSync({ prefix: "kernelwright-new-" });
  });
  afterAll(() => Deno.removeSync(folder, { recursive: true }));

  for (const [name, options] of WRITTEN) {
    it(`writes ${name} (${JSON.stringify(options)}), whose check and test pass at once`, async () => {
      const dir = await newKernel(name, { ...options, dir: join(folder, name), yes: true });
      // `deno task check` does these one after the other; a type-check comes with the test.
      await deno(["fmt", "--check"], dir);
      await deno(["lint"], dir);
      await deno(["test", "-A"], dir);
    });
  }

  it("writes a bench that runs, and a task that bundles", async () => {
    const dir = await newKernel("TimedNorm", { replaces: "RMSNorm", dir: join(folder, "timed"), yes: true });
    const bench = Deno.readTextFileSync(join(dir, "kernel_bench.ts"));
    Deno.writeTextFileSync(
      join(dir, "kernel_bench.ts"),
      bench.replace("{ shapes:", "{ rounds: 1, train: 1, shapes:"),
    );
    const table = await deno(["run", "-A", "--no-check", "kernel_bench.ts"], dir);
    assert(table.includes("TimedNorm") && table.includes("original"), table);
    await deno(["task", "bundle"], dir);
    const manifest = JSON.parse(Deno.readTextFileSync(join(dir, "dist", "kernel.json")));
    assertEquals(Object.keys(manifest.kernels), ["TimedNorm"]);
    await deno(["lint"], dir); // the bundle is not the author's to tidy
  });

  it("refuses what it cannot write, and leaves nothing behind", async () => {
    const refuses = async (code: string, name: string | undefined, options: NewKernelOptions) => {
      const before = [...Deno.readDirSync(folder)].map((e) => e.name).sort();
      const error = await assertRejects(
        () => newKernel(name, { dir: join(folder, "refused"), yes: true, ...options }),
        KernelwrightError,
      );
      assertEquals(error.code, code, error.message);
      assertEquals([...Deno.readDirSync(folder)].map((e) => e.name).sort(), before);
      return error.message;
    };
    await refuses("KW-NEW-NAME", "fast-norm", { replaces: "RMSNorm" });
    await refuses("KW-NEW-NAME", "../Evil", { replaces: "RMSNorm" });
    await refuses("KW-NEW-NAME", "RMSNorm", { replaces: "RMSNorm" });
    await refuses("KW-NEW-NAME", "FastNorm", { replaces: "RMSNorm", scope: "me" });
    assert(
      (await refuses("KW-NEW-MODULE", "FastNorm", { replaces: "RmsNrm" })).includes(
        'Did you mean "RMSNorm"?',
      ),
    );
    await refuses("KW-NEW-MODULE", "Odd", { fuses: "RMSNorm,SiluAndMul" });
    await refuses("KW-NEW-ARGUMENT", undefined, { replaces: "RMSNorm" });
    await refuses("KW-NEW-ARGUMENT", "FastNorm", {});
    await refuses("KW-NEW-ARGUMENT", "FastNorm", { replaces: "RMSNorm", fuses: "RMSNorm,Linear" });
    await refuses("KW-NEW-ARGUMENT", "FastNorm", { fuses: "RMSNorm" });
    await refuses("KW-NEW-ARGUMENT", "FastNorm", { replaces: "RMSNorm", parallel: true });
    await refuses("KW-NEW-ARGUMENT", "FastNorm", { replaces: "RMSNorm", license: "GPL" });
    Deno.mkdirSync(join(folder, "there"));
    await refuses("KW-NEW-EXISTS", "FastNorm", { replaces: "RMSNorm", dir: join(folder, "there") });
    assertEquals([...Deno.readDirSync(join(folder, "there"))], []);
  });
});

async function deno(args: string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert(success, `deno ${args.join(" ")} failed:\n${text}`);
  return text;
}
