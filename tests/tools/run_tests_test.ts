/** Runs the runner, as a reader does, over small test files that pass, fail, crash or are empty. @module */
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";

const RUNNER = fromFileUrl(new URL("../../tools/run_tests.ts", import.meta.url));

const FILES: Record<string, string> = {
  "ok_test.ts": `
    Deno.test("one", () => {});
    Deno.test.ignore("two", () => {});`,
  "bdd_test.ts": `
    import { afterAll, afterEach, beforeAll, beforeEach, describe, it } from "@std/testing/bdd";
    const log: string[] = [];
    beforeEach(() => void log.push("root"));
    describe("outer", () => {
      beforeAll(() => void log.push("beforeAll"));
      afterAll(() => console.log("order: " + [...log, "afterAll"].join(" ")));
      beforeEach(() => void log.push("beforeEach"));
      afterEach(() => void log.push("afterEach"));
      it("a", () => void log.push("a"));
      it("b", () => { throw new Error("meant to fail"); });
      it.skip("c", () => {});
      describe("inner", () => it("d", () => void log.push("d")));
    });`,
  "hook_test.ts": `
    import { beforeAll, describe, it } from "@std/testing/bdd";
    describe("group", () => {
      beforeAll(() => { throw new Error("meant to fail"); });
      it("never runs", () => {});
    });`,
  "crash_test.ts": `
    Deno.test("passes before the crash", () => {});
    addEventListener("unload", () => Deno.kill(Deno.pid, "SIGABRT"));`,
  "load_test.ts": `throw new Error("at load");`,
  "none_test.ts": `Deno.test.ignore("left out", () => {});`,
};

let folder: string;

async function run(...args: string[]): Promise<{ code: number; text: string; last: string }> {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", RUNNER, ...args],
    env: { KERNELWRIGHT_CWD: folder, NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout).trimEnd();
  return { code, text, last: text.split("\n").at(-1)! };
}

describe("run_tests", () => {
  beforeAll(() => {
    folder = Deno.makeTempDirSync();
    for (const [name, text] of Object.entries(FILES)) Deno.writeTextFileSync(join(folder, name), text);
  });
  afterAll(() => Deno.removeSync(folder, { recursive: true }));

  it("counts passed and skipped tests, and finds a path where it was called", async () => {
    const { code, last } = await run("ok_test.ts");
    assertEquals([code, last], [0, "1 passed, 0 failed, 1 skipped"]);
  });

  it("counts describe() and it(), runs hooks in order, and fails with them", async () => {
    const { code, text, last } = await run("bdd_test.ts");
    assertEquals([code, last], [1, "2 passed, 1 failed, 1 skipped"]);
    assertStringIncludes(
      text,
      "order: beforeAll root beforeEach a afterEach root beforeEach afterEach root beforeEach d afterEach afterAll",
    );
  });

  it("fails when beforeAll() throws", async () => {
    const { code, last } = await run("hook_test.ts");
    assertEquals([code, last], [1, "0 passed, 1 failed"]);
  });

  it("says which file crashed or did not load, and keeps the counts of the others", async () => {
    const { code, text, last } = await run("ok_test.ts", "crash_test.ts", "load_test.ts");
    assertEquals(code, 1);
    assert(/crash_test\.ts: the process was ended by SIGABRT/.test(text), text);
    assertEquals(text.match(/passes before the crash \.\.\. ok/g)?.length, 1, "a crash is not tried again");
    assert(/load_test\.ts: failed outside of any test/.test(text), text);
    assertEquals(last, "1 passed, 2 failed, 1 skipped");
  });

  it("fails when no test was executed", async () => {
    const { code, text, last } = await run("none_test.ts");
    assertEquals([code, last], [1, "0 passed, 0 failed, 1 skipped"]);
    assertStringIncludes(text, "No test was executed.");
    assertEquals((await run("ok_test.ts", "--filter", "no such name")).code, 1);
  });

  it("fails when a path does not exist", async () => {
    assertEquals((await run("no_such_test.ts")).code, 1);
  });
});
