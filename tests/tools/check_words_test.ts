import { describe, it } from "@std/testing/bdd";
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { checkWords } from "../../tools/check_words.ts";

describe("checkWords()", () => {
  it("names file, line, words and what to write instead", () => {
    const root = Deno.makeTempDirSync();
    try {
      Deno.mkdirSync(join(root, "sdk"));
      Deno.writeTextFileSync(
        join(root, "CONTRIBUTING.md"),
        "# Words\n\n| not | but |\n| --- | --- |\n| `unless told` | defaults to |\n| `\\banew\\b` | again |\n",
      );
      Deno.writeTextFileSync(
        join(root, "sdk", "a.ts"),
        "// fine\n// 5 Unless told.\n/**\n * 6 unless\n * told.\n */\nexport const renewed = 1;\n",
      );
      Deno.writeTextFileSync(join(root, "README.md"), "It begins anew.\n");
      assertEquals(checkWords(root), [
        `README.md:1: "anew": write again`,
        `sdk/a.ts:2: "Unless told": write defaults to`,
        `sdk/a.ts:4: "unless told": write defaults to`,
      ]);
    } finally {
      Deno.removeSync(root, { recursive: true });
    }
  });
});
