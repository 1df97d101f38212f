/** Tables, reports and questions: what strangers named steers no terminal and forges no line. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { PassThrough } from "node:stream";
import { askName } from "../../sdk/cli/ask.ts";
import { guarded } from "../../sdk/cli/terminal.ts";
import { raise } from "../../sdk/errors.ts";
import { drawTable, KernelReport } from "../../sdk/kernelize/mod.ts";
import { BenchReport } from "../../sdk/testing/mod.ts";

const EVIL = "a\x1b[2J\u009b31m\u202eb\nforged  ok\r\n\tc";
// deno-lint-ignore no-control-regex
const ACTS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/;

function check(text: string, lines: number): void {
  assert(!ACTS.test(text), JSON.stringify(text));
  assertEquals(text.trim().split("\n").length, lines, text);
  assertStringIncludes(text, "\\u001b[2J");
}

describe("names of strangers", () => {
  it("stay in their line of a table", () => check(drawTable([["head", EVIL], [EVIL, "x"]]), 2));

  it("stay in their line of a report", () => {
    const site = {
      path: EVIL,
      paths: [EVIL],
      original: [EVIL],
      kernel: EVIL,
      reason: EVIL,
      considered: [{ kernel: EVIL, taken: true, why: EVIL }],
      conversions: [],
    };
    check(String(new KernelReport([site], [EVIL, EVIL])), 4);
  });

  it("stay in their line of a bench", () => {
    const row = {
      dims: { [EVIL]: 1 },
      dtype: "f32" as const,
      bytes: 4,
      timings: [{ name: EVIL, median: 1 }, { name: "original", median: 1 }],
    };
    const report = new BenchReport(EVIL, EVIL, { copy: 1, fma: 1 } as never, [row as never]);
    check(String(report), 4);
  });

  it("act on nothing whatever the console is told to do with them", async () => {
    const names = ["log", "info", "warn", "error", "debug", "dir", "table", "trace", "group"] as const;
    const own = names.map((name) => [name, console[name]] as const);
    let seen = "";
    for (const name of names) console[name] = (...given: unknown[]) => void (seen += `${given.join(" ")}\n`);
    try {
      await guarded(() => {
        for (const name of names) console[name](EVIL);
        return Promise.resolve();
      });
    } finally {
      for (const [name, write] of own) console[name] = write as typeof console.log;
    }
    assertEquals(seen.split("\\u001b[2J").length - 1, names.length);
    // deno-lint-ignore no-control-regex
    assert(!/[\u001b\u009b\u202e]/.test(seen), JSON.stringify(seen));
  });

  it("are shown escaped by a question that refuses them", async () => {
    const [input, output] = [new PassThrough(), new PassThrough()];
    let shown = "";
    output.on("data", (piece) => shown += piece);
    let tries = 0;
    const asked = askName(() => {
      if (tries++ === 0) raise("KW-NEW-ARGUMENT", `not a name: ${EVIL}`, "Another.");
    }, { input, output });
    const typed = async (text: string, until: () => boolean) => {
      input.write(text);
      for (let i = 0; i < 500 && !until(); i++) await new Promise((resolve) => setTimeout(resolve, 2));
    };
    await new Promise((resolve) => setTimeout(resolve, 50));
    await typed("x", () => shown.includes("x"));
    await typed("\r", () => tries > 0 && shown.includes("not a name"));
    await typed("y\r", () => tries > 1);
    await asked;
    assertStringIncludes(shown.replaceAll(/\s+/g, " "), "\\u001b[2J");
    assert(!shown.includes("\u009b31m"));
  });
});
