import { describe, it } from "@std/testing/bdd";
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { checkMarkdownLinks } from "../../tools/check_markdown_links.ts";

describe("checkMarkdownLinks()", () => {
  it("finds files and headings that are not there, and leaves code and addresses alone", () => {
    const root = Deno.makeTempDirSync({ prefix: "kernelwright-links-" });
    try {
      Deno.writeTextFileSync(join(root, "b.md"), "# One `kernel`, two!\n\n```sh\n# no heading\n```\n");
      Deno.writeTextFileSync(
        join(root, "a.md"),
        [
          "# A",
          "[there](b.md) [its heading](b.md#one-kernel-two) [here](#a) [address](https://example.org/x#y)",
          "[gone](c.md)",
          "[no heading](b.md#no-heading) and `[code](d.md)`",
          "[not here](#b)",
        ].join("\n"),
      );
      assertEquals(checkMarkdownLinks(root), [
        'a.md:3: there is no "c.md"',
        'a.md:4: there is no "b.md#no-heading"',
        'a.md:5: there is no "#b"',
      ]);
    } finally {
      Deno.removeSync(root, { recursive: true });
    }
  });
});
