import { describe, it } from "@std/testing/bdd";
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { modelFolder } from "../helpers/models.ts";
import { deno, ROOT } from "./deno.ts";
import { blocksOf } from "./page.ts";

describe("the readme's program", () => {
  it("loads a model with kernels, takes them out, and puts them in again with a report", async () => {
    const programs = blocksOf("README.md").filter((b) => b.language === "ts" && b.code.includes("Deno.args"));
    assertEquals(programs.length, 1);
    const model = modelFolder("stories260k");
    if (!model) return;
    const folder = Deno.makeTempDirSync({ prefix: "kernelwright-readme-" });
    try {
      const file = join(folder, "app.ts");
      Deno.writeTextFileSync(file, programs[0].code);
      const output = await deno(["run", "-A", "--no-check"], [file, model], ROOT); // its kernels.json is the page's
      assert(output.includes("CustomRMSNorm") && output.includes("RMSNormMLP"), output);
      assert(output.includes("argmax equal at 3 of 3"), output);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
});
