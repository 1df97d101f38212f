import { describe, it } from "@std/testing/bdd";
import { assert, assertEquals } from "@std/assert";
import { TARGETS } from "../../tools/mutation_targets.ts";
import { describeMutation, mutate, mutationsOf } from "../../tools/mutations.ts";

/** What a line becomes. */
const changes = (source: string) => mutationsOf(source).map((m) => mutate(source, m));

describe("mutationsOf()", () => {
  it("changes operators, borders, words and conditions", () => {
    assertEquals(changes("x = a && b;"), ["x = a || b;"]);
    assertEquals(changes("x = a === b;"), ["x = a !== b;"]);
    assertEquals(changes("x = a <= b;"), ["x = a < b;"]);
    assertEquals(changes("x = s.startsWith(p);"), ["x = s.includes(p);", "x = s.endsWith(p);"]);
    assertEquals(changes("x = i + 1;"), ["x = i - 1;", "x = i;"]);
    assertEquals(changes("f(true);"), ["f(false);"]);
    assertEquals(changes("f(!a);"), ["f(a);"]);
    assertEquals(changes("if (f(a)) g();"), ["if (!(f(a))) g();"]);
    assertEquals(changes("return ok ? 1 : 2;"), ["return !(ok) ? 1 : 2;"]);
  });

  it("drops errors, and returns early", () => {
    assertEquals(changes('  raise(\n    "KW-X",\n    f(";"),\n  );\n'), ["  {}\n"]);
    assertEquals(changes("  throw new Error(x);\n"), ["  {}\n"]);
    assertEquals(changes("function f(): void {\n  g();\n}\n"), [
      "function f(): void {\nreturn;\n  g();\n}\n",
    ]);
  });

  it("leaves alone what is no code", () => {
    for (
      const text of [
        "// a && b",
        "/* true\n * a && b */",
        'f("a && b", \'x < y\', "\\" && ");',
        "f(`a && ${b && c} && d ${`x ${y && z}`}`);",
        "f(/a && b[/]c/);",
        'import { a } from "./true && false.ts";',
        'import {\n  a,\n} from "./b && c.ts";',
      ]
    ) assertEquals(changes(text), [], text);
    assertEquals(changes("// it's\nx = a && b; // don't\nx = a / b && c / d;").length, 2);
  });

  it("tells the line, and what was and is there", () => {
    const source = "\n\nx = a && b;";
    assertEquals(mutationsOf(source).map((m) => describeMutation(source, m)), ["3: and, or: && → ||"]);
  });
});

describe("what is mutated", () => {
  it("is there, and so are its tests", () => {
    for (const { file, tests } of TARGETS) {
      const source = Deno.readTextFileSync(new URL(`../../${file}`, import.meta.url));
      assert(mutationsOf(source).length > 0, file);
      for (const test of tests) Deno.statSync(new URL(`../../${test}`, import.meta.url));
    }
  });
});
