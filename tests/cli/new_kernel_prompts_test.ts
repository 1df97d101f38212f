/** new-kernel's questions, answered key by key: the prompts read and write streams of the test in place of a terminal. */
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { PassThrough, Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { KernelwrightError } from "@kernelwright/sdk";
import type { Terminal } from "../../sdk/cli/ask.ts";
import { newKernel, type NewKernelOptions } from "../../sdk/cli/new_kernel/new_kernel.ts";

const [ENTER, DOWN, CANCEL, CLEAR] = ["\r", "\x1b[B", "\x03", "\x15"];

const NAME = "What is the kernel called?";
const ROLE = "What does it do?";
const MODULE = "Which module?";
const MODULES = "Which modules,";
const SCOPE = "Whose package is it?";
const LICENSE = "Under which license?";

/** What must have come on the screen since the keys before, and the keys that are typed then. */
type Step = readonly [shown: string, keys: string];

/** A terminal at which somebody follows a script; `left` is what has not come to pass. */
function typist(steps: readonly Step[]): Terminal & { readonly left: Step[] } {
  const left = [...steps];
  let screen = "";
  const input = new PassThrough();
  const output = new Writable({
    write(chunk, _encoding, done) {
      screen += stripVTControlCharacters(String(chunk));
      const next = left[0];
      if (next && screen.includes(next[0])) {
        left.shift();
        screen = "";
        setTimeout(() => input.write(next[1])); // once the question is drawn
      }
      done();
    },
  });
  return { input, output, left };
}

describe("new-kernel at a terminal", () => {
  let folder = "";
  let dir = "";
  beforeEach(() => {
    folder = Deno.makeTempDirSync({ prefix: "kernelwright-asked-" });
    dir = join(folder, "made");
  });
  afterEach(() => Deno.removeSync(folder, { recursive: true }));

  async function answer(
    name: string | undefined,
    options: NewKernelOptions,
    steps: readonly Step[],
  ): Promise<{ code: string; config: { name: string; license?: string }; files: string[] }> {
    const terminal = typist(steps);
    const made = await newKernel(name, { dir, ...options }, terminal);
    assertEquals(terminal.left, []);
    const files = [...Deno.readDirSync(made)].map((e) => e.name).sort();
    const read = (file: string) => Deno.readTextFileSync(join(made, file));
    const code = files.filter((f) => /^(kernel|layout)\.ts$/.test(f)).map(read).join("\n");
    return { code, config: JSON.parse(read("deno.json")), files };
  }

  it("asks for everything; what will not do is said at once, and asked again", async () => {
    const { code, config, files } = await answer(undefined, {}, [
      [NAME, `fast-norm${ENTER}`],
      ['Cannot call a kernel "fast-norm"', `${CLEAR}NormMLP${ENTER}`],
      [ROLE, `${DOWN}${ENTER}`],
      [MODULES, `RMSNorm${ENTER}`],
      ["A fusion takes two modules or more", `, LamaMLP${ENTER}`],
      ['Did you mean "LlamaMLP"?', `${CLEAR}RMSNorm, LlamaMLP${ENTER}`],
      [SCOPE, `me${ENTER}`],
      ['Cannot use the scope "me"', `${CLEAR}@you${ENTER}`],
      [LICENSE, `${DOWN}${ENTER}`],
    ]);
    assert(code.includes("class NormMLP") && code.includes("fuses("), code);
    assertEquals([config.name, config.license], ["@you/norm-mlp", "ISC"]);
    assert(files.includes("layout.ts") && files.includes("LICENSE"), files.join());
  });

  it("takes defaults with the enter key", async () => {
    const { code, config } = await answer("FastNorm", {}, [
      [ROLE, ENTER],
      [MODULE, ENTER],
      [SCOPE, ENTER],
      [LICENSE, ENTER],
    ]);
    assert(code.includes("replaces("), code);
    assertEquals([config.name, config.license], ["@me/fast-norm", "MIT"]);
  });

  it("asks only for what was not given", async () => {
    const given = { fuses: "Linear,Linear", parallel: true, scope: "@you", license: "none" };
    const { code, files } = await answer(undefined, given, [[NAME, `Pair${ENTER}`]]);
    assert(code.includes("fusesParallel("), code);
    assertEquals(files.includes("LICENSE"), false);
  });

  it("writes a forward alone, and modules of one input", async () => {
    const forward = await answer("Swift", { scope: "@you", license: "MIT" }, [
      [ROLE, `${DOWN}${DOWN}${DOWN}${ENTER}`],
      [MODULE, ENTER],
    ]);
    assertEquals(forward.files.includes("layout.ts"), false);
    Deno.removeSync(dir, { recursive: true });
    const parallel: [NewKernelOptions, Step[]][] = [
      [{}, [[ROLE, `${DOWN}${DOWN}${ENTER}`], [MODULES, `Linear, Linear${ENTER}`]]],
      [{ parallel: true }, [[MODULES, `Linear, Linear${ENTER}`]]],
    ];
    for (const [options, steps] of parallel) {
      const { code } = await answer("Both", { scope: "@you", license: "MIT", ...options }, steps);
      assert(code.includes("fusesParallel("), code);
      Deno.removeSync(dir, { recursive: true });
    }
  });

  it("asks nothing where everything is given, or nothing may be asked", async () => {
    await answer("FastNorm", { replaces: "RMSNorm" }, []);
    const error = await assertRejects(
      () => newKernel(undefined, { replaces: "RMSNorm", yes: true, dir: join(folder, "b") }, typist([])),
      KernelwrightError,
    );
    assertEquals(error.code, "KW-NEW-ARGUMENT");
  });

  it("refuses what was given before it asks", async () => {
    Deno.mkdirSync(join(folder, "there"));
    const cases: [string, NewKernelOptions][] = [
      ["KW-NEW-EXISTS", { dir: join(folder, "there") }],
      ["KW-NEW-ARGUMENT", { license: "GPL" }],
      ["KW-NEW-NAME", { scope: "me" }],
      ["KW-NEW-MODULE", { replaces: "RmsNrm" }],
      ["KW-NEW-ARGUMENT", { replaces: "RMSNorm", parallel: true }],
      ["KW-NEW-ARGUMENT", { fuses: "RMSNorm,Linear", function: true }],
    ];
    for (const [code, options] of cases) {
      const terminal = typist([[NAME, CANCEL]]);
      const error = await assertRejects(
        () => newKernel(undefined, { dir, ...options }, terminal),
        KernelwrightError,
      );
      assertEquals([error.code, terminal.left.length], [code, 1], error.message);
    }
  });

  const questions: Step[] = [
    [NAME, `Odd${ENTER}`],
    [ROLE, ENTER],
    [MODULE, ENTER],
    [SCOPE, ENTER],
    [LICENSE, ENTER],
  ];
  for (const [i, [question]] of questions.entries()) {
    it(`stops where "${question}" is cancelled, and writes nothing`, async () => {
      const error = await assertRejects(
        () => answer(undefined, {}, [...questions.slice(0, i), [question, CANCEL]]),
        KernelwrightError,
      );
      assertEquals(error.message, "KW-NEW-ARGUMENT\n  new-kernel was stopped\n  Nothing was written.");
      assertEquals([...Deno.readDirSync(folder)], []);
    });
  }
});
