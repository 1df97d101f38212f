import { beforeAll, describe, it } from "@std/testing/bdd";
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { deno } from "./deno.ts";
import { exampleFolder } from "./example_folder.ts";
import { linkedExample, type PublicValue, publicValues, reasonForNone } from "./examples.ts";

let values: PublicValue[] = [];

/**
 * A doc without an example has a line `See the example of {@linkcode other}.`, and that example uses the value; or
 * `No example: ` and the reason.
 */
describe("the examples of what the entries export", () => {
  beforeAll(async () => {
    values = await publicValues();
  });

  it("are there for every value, or a reason why there is none", () => {
    const bare = values.filter((v) =>
      v.examples.length === 0 && linkedExample(v.doc) === undefined && !reasonForNone(v.doc)
    );
    assertEquals(bare.map(place), []);
  });

  it("show the value: one imports it from where it is, whether it is the value's own or the one that it links to", () => {
    const strange = values.filter((v) => !reasonForNone(v.doc)).filter((v) => {
      const linked = values.filter((o) => o.name === linkedExample(v.doc));
      return ![v, ...linked].flatMap((o) => o.examples).some((code) => imports(code, v));
    });
    assertEquals(strange.map(place), []);
  });
});

// Their types are checked in types_test.ts, together with those of the pages.
describe("the examples", () => {
  it("hold what they say, and leave no tensor behind", async () => {
    const { folder, files } = await exampleFolder(values);
    try {
      Deno.writeTextFileSync(join(folder, "run_all.ts"), runner(files));
      const output = await deno(["run", "-A", "--no-check"], ["run_all.ts"], folder);
      assert(files.length > 0 && output.includes(`ran ${files.length} examples`), output);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
});

/** A value, and where it is, as failures show it. */
function place({ name, from, at }: PublicValue): string {
  return `${name} of ${from} (${at})`;
}

/** Whether a program imports a value from its entry. */
function imports(code: string, { name, from }: PublicValue): boolean {
  return [...code.matchAll(/import (?:type )?\{([^}]*)\} from "([^"]+)"/g)]
    .filter((match) => match[2] === from)
    .some(([, names]) => names.split(",").some((n) => n.trim().replace(/^type /, "") === name));
}

/** A program that runs all of them, one after the other, and says which ones failed. */
function runner(files: readonly string[]): string {
  return `import { gpuIfOpen, memory } from "@kernelwright/sdk";
const held = () => gpuIfOpen() ? memory().tensors : 0;
const failed: string[] = [];
const { log } = console;
console.log = () => {}; // what examples print is not the point
async function run(name: string, example: () => Promise<unknown>): Promise<void> {
  const before = held();
  try {
    await example();
    if (held() !== before) throw new Error(\`\${held() - before} tensors are left\`);
  } catch (error) {
    failed.push(\`\${name}: \${error instanceof Error ? error.stack : error}\`);
  }
}
${files.map((f) => `await run(${JSON.stringify(f)}, () => import(${JSON.stringify(`./${f}`)}));`).join("\n")}
if (failed.length > 0) throw new Error(failed.join("\\n\\n"));
log("ran ${files.length} examples");
Deno.exit(0);
`;
}
