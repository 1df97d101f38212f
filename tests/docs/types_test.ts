import { describe, it } from "@std/testing/bdd";
import { join } from "@std/path";
import { deno, ROOT } from "./deno.ts";
import { blocksOf } from "./page.ts";
import { tutorialFolder } from "./tutorial_folder.ts";

describe("the code on the pages", () => {
  it("has types that hold: the tutorial's files, and the readme's kernel and program", async () => {
    const folder = await tutorialFolder();
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
      await deno(["check"], ["app.ts", "squared_relu_test.ts", "fast-norm/mod.ts", ...readme], folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
});
