import { describe, it } from "@std/testing/bdd";
import { assertEquals } from "@std/assert";
import plugin from "../../tools/lint_plugin.ts";

/** Where the rule reports, as the text it points at. */
function reports(filename: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, filename, source)
    .map((found) => source.slice(found.range[0], found.range[1]));
}

describe("no-bare-error", () => {
  for (const name of ["Error", "TypeError", "RangeError"]) {
    it(`refuses ${name} inside sdk/`, () => {
      assertEquals(reports("/r/sdk/gpu/a.ts", `throw new ${name}("x");`), [`new ${name}("x")`]);
      assertEquals(reports("/r/sdk/gpu/a.ts", `fail(${name}("x"));`), [`${name}("x")`]);
    });
  }

  it("refuses an error that is made and not thrown", () => {
    assertEquals(reports("sdk/a.ts", `reject(new Error("x"));`), [`new Error("x")`]);
  });

  it("allows our own error and classes that extend Error", () => {
    assertEquals(reports("/r/sdk/a.ts", `throw new KernelwrightError("KW-X"); class A extends Error {}`), []);
    assertEquals(reports("/r/sdk/a.ts", `if (e instanceof Error) throw e;`), []);
  });

  it("says nothing outside of sdk/", () => {
    assertEquals(reports("/r/tools/a.ts", `throw new Error("x");`), []);
  });
});

describe("zod-as-namespace", () => {
  it("refuses zod by parts inside sdk/, and allows it whole", () => {
    for (const parts of [`{ z }`, `z`, `z, { ZodError }`]) {
      const source = `import ${parts} from "zod";`;
      assertEquals(reports("/r/sdk/a.ts", source), [source]);
    }
    assertEquals(reports("/r/sdk/a.ts", `import * as z from "zod"; import { x } from "zood";`), []);
    assertEquals(reports("/r/tools/a.ts", `import { z } from "zod";`), []);
  });
});
