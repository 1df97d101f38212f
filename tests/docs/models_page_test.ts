/** docs/models.md lists every model_type, and no other. */
import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DECODERS, ENCODERS, VISION } from "../../sdk/models/mod.ts";

const page = Deno.readTextFileSync(new URL("../../docs/models.md", import.meta.url));

describe("docs/models.md", () => {
  for (
    const [title, families] of [["Decoders", DECODERS], ["Encoders", ENCODERS], ["Images", VISION]] as const
  ) {
    it(`lists the types under ${title}`, () => {
      const section = page.split(`## ${title}\n`)[1].split("\n## ")[0];
      const rows = section.split("\n").filter((line) => line.startsWith("|")).slice(2);
      const listed = rows.flatMap((row) => [...row.split("|")[2].matchAll(/`([^`]+)`/g)].map((m) => m[1]));
      assertEquals(listed.sort(), families.flatMap((f) => f.types).sort());
    });
  }
});
