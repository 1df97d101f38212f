import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { fromFileUrl, join } from "@std/path";
import { closest, ERROR_CODES, KernelwrightError, renderDiagnostic } from "../sdk/errors.ts";
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

describe("closest()", () => {
  it("finds what plain edit distance finds", () => {
    const plain = (a: string, b: string): number => {
      const rows = [[...Array(b.length + 1).keys()]];
      for (let i = 1; i <= a.length; i++) {
        rows[i] = [i];
        for (let j = 1; j <= b.length; j++) {
          const cost = a[i - 1] === b[j - 1] ? 0 : 1;
          rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + cost);
        }
      }
      return rows[a.length][b.length];
    };
    let seed = 7;
    const random = (n: number) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n;
    const word = () => Array.from({ length: 1 + random(9) }, () => "abc"[random(3)]).join("");
    for (let i = 0; i < 500; i++) {
      const [name, words] = [word(), Array.from({ length: 5 }, word)];
      const most = Math.max(1, Math.floor(name.length / 3));
      const distances = words.map((w) => plain(name, w));
      const least = Math.min(...distances);
      assertEquals(
        closest(name, words),
        least > most ? undefined : words[distances.indexOf(least)],
        `${name} ${words}`,
      );
    }
  });

  it("does bounded work, however many and long the candidates", () => {
    let asked = 0;
    function* names(length: number): Generator<string> {
      for (; asked < 5_000_000; asked++) yield `${asked}`.padStart(length, "x");
    }
    assertEquals(closest("y".repeat(200), names(200)), undefined);
    assert(asked < 100_000, `${asked} candidates`);
    asked = 0;
    closest("abc", names(100));
    assert(asked < 5_000_000);
    assertEquals(closest("y".repeat(10_000), ["y".repeat(10_000)]), undefined);
  });
});
