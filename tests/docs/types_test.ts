import { describe, it } from "@std/testing/bdd";
import { join } from "@std/path";
import { deno, ROOT } from "./deno.ts";
import { exampleFolder } from "./example_folder.ts";
import { publicValues } from "./examples.ts";
import { blocksOf } from "./page.ts";
import { tutorialFolder } from "./tutorial_folder.ts";

describe("the code on the pages and in JSDoc", () => {
  it("has types that hold: the tutorial's files, the readme's kernel and program, the examples", async () => {
    const folder = await tutorialFolder();
    const examples = await exampleFolder(await publicValues());
    try {
      // Beside its shaders, as on the page.
      for (const name of ["norm_gate_up.wgsl", "down.wgsl"]) {
        Deno.copyFileSync(join(ROOT, "tests", "readme", name), join(folder, name));
      }
      const readme = blocksOf("README.md").filter((b) => b.language === "ts").map(({ code }, i) => {
        const name = `readme_${i}.ts`;
        Deno.writeTextFileSync(join(folder, name), code);
        return name;
      });
      const files = ["app.ts", "squared_relu_test.ts", "fast-norm/mod.ts", ...readme];
      // In one process: most of its work is to read the SDK.
      await deno(["check"], [...files, ...examples.files.map((f) => join(examples.folder, f))], folder);
    } finally {
      for (const made of [folder, examples.folder]) Deno.removeSync(made, { recursive: true });
    }
  });
});
