/**
 * An author's mistakes must not compile, each with the error that its file states:
 *
 *     // expect-error 14: a part of the message
 *     //         also: another part of the same message
 *
 * All files are checked by one process.
 */
import { assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { beforeAll, describe, it } from "@std/testing/bdd";

const here = fromFileUrl(new URL(".", import.meta.url));
const root = join(here, "..", "..");
const mistakes = filesIn("mistakes");
const correct = filesIn("correct");

interface CompileError {
  readonly line: number;
  readonly text: string;
}

describe("the types of authoring", () => {
  let found: Map<string, CompileError[]>;
  beforeAll(async () => {
    found = await compile([...mistakes, ...correct]);
  });

  it("find nothing wrong with correct kernels", () => {
    assertEquals([...found].filter(([file]) => correct.includes(file)), []);
  });

  for (const file of mistakes) {
    it(`refuse ${file.split("/").at(-1)!.replace(".ts", "").replaceAll("_", " ")}`, () => {
      const expected = expectations(Deno.readTextFileSync(file));
      const errors = [...found.get(file) ?? []];
      const unmet = expected.filter(({ line, fragments }) => {
        const at = errors.findIndex((e) => e.line === line && fragments.every((f) => e.text.includes(f)));
        if (at >= 0) errors.splice(at, 1);
        return at < 0;
      });
      assertEquals({ unmet, unexpected: errors }, { unmet: [], unexpected: [] });
      assertEquals(expected.length > 0, true, "The file states no error");
    });
  }
});

// ---------------------------------------------------------------------------

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(join(here, folder))].map((e) => join(here, folder, e.name)).sort();
}

function expectations(source: string): { line: number; fragments: string[] }[] {
  const out: { line: number; fragments: string[] }[] = [];
  for (const text of source.split("\n")) {
    const expect = /^\/\/ expect-error (\d+): (.+)$/.exec(text);
    if (expect) out.push({ line: Number(expect[1]), fragments: [expect[2]] });
    const also = /^\/\/ +also: (.+)$/.exec(text);
    if (also) out.at(-1)!.fragments.push(also[1]);
  }
  return out;
}

/** Every error of `deno check`, by file. */
async function compile(files: string[]): Promise<Map<string, CompileError[]>> {
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", ...files],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const errors = new Map<string, CompileError[]>();
  // An error begins with its code and ends with its place; related places are indented.
  const pattern = /^TS\d+ \[ERROR\]: ([^]*?)\n {4}at (file:\/\/\S+?):(\d+):\d+/gm;
  for (const [, text, url, line] of new TextDecoder().decode(stderr).matchAll(pattern)) {
    const file = fromFileUrl(url);
    errors.set(file, [...errors.get(file) ?? [], { line: Number(line), text }]);
  }
  return errors;
}
