import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { fromFileUrl, join } from "@std/path";
import { ERROR_CODES, KernelwrightError, renderDiagnostic } from "../sdk/errors.ts";
import { ERRORS_PAGE, errorsDoc, unadvised } from "../tools/errors_doc.ts";
import { walk } from "../tools/walk.ts";

const root = fromFileUrl(new URL("..", import.meta.url));
const codes = Object.keys(ERROR_CODES);

describe("docs/errors.md", () => {
  const page = Deno.readTextFileSync(ERRORS_PAGE);

  it("lists every code, and no other", () => {
    assertEquals(
      [...page.matchAll(/^### (KW-\S+)$/gm)].map((m) => m[1]).sort(),
      codes.toSorted(),
      "Run: deno run -A tools/errors_doc.ts",
    );
  });

  it("has advice for every code", () => {
    assertEquals(
      unadvised(),
      { missing: [], left: [] },
      "Write the cause and the remedy into tools/error_advice/, then run: deno run -A tools/errors_doc.ts",
    );
  });

  it("is what the tool writes", () => {
    assertEquals(page, errorsDoc(), "Run: deno run -A tools/errors_doc.ts");
  });
});

describe("the codes", () => {
  const sources = walk(join(root, "sdk"), (path) => path.endsWith(".ts") && !path.endsWith("error_codes.ts"))
    .map((path) => Deno.readTextFileSync(path)).join("\n");

  it("are each used", () => {
    assertEquals(codes.filter((code) => !sources.includes(`"${code}"`)), []);
  });

  it("have names of one form, and a sentence", () => {
    for (const [code, meaning] of Object.entries(ERROR_CODES)) {
      assertEquals(/^KW(-[A-Z]+)+$/.test(code), true, code);
      assertEquals(/^[A-Za-z].*\.$/.test(meaning), true, meaning);
    }
  });
});

describe("a KernelwrightError", () => {
  const error = new KernelwrightError({
    code: "KW-CONVERT-SHAPE",
    what: "It does not fit",
    where: { site: "layers.0", kernel: "Norm" },
    notes: ["A note."],
    fix: "Do this.",
  });

  it("reads as code and place, what, notes, remedy", () => {
    assertEquals(
      error.message,
      'KW-CONVERT-SHAPE  Norm at "layers.0"\n  It does not fit\n  A note.\n  Do this.',
    );
    assertEquals(error.message, renderDiagnostic(error.diagnostic));
  });

  it("is data in JSON", () => {
    assertEquals(JSON.parse(JSON.stringify(error)), {
      code: "KW-CONVERT-SHAPE",
      what: "It does not fit",
      where: { site: "layers.0", kernel: "Norm" },
      notes: ["A note."],
      fix: "Do this.",
    });
  });
});
