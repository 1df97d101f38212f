import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { deno, ROOT } from "./deno.ts";
import { linkedExample, type PublicValue, publicValues, reasonForNone } from "./examples.ts";
import { KERNELS_JSON, writeTinyKernel } from "./tiny_kernel.ts";
import { writeTinyModel } from "./tiny_model.ts";

let values: PublicValue[] = [];

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

describe("the examples", () => {
  // In the repository, so that imports are found as its deno.json says; git ignores the folder.
  const folder = join(ROOT, ".cache", `examples-${crypto.randomUUID()}`);
  beforeAll(async () => {
    Deno.mkdirSync(folder, { recursive: true });
    await writeTinyModel(join(folder, "model"));
    await writeTinyKernel(join(folder, "fast-norm"));
    Deno.writeTextFileSync(join(folder, "kernels.json"), KERNELS_JSON);
  });
  afterAll(() => Deno.removeSync(folder, { recursive: true }));

  it("hold: their types, what they say, and no tensor is left behind", async () => {
    const examples = values.flatMap((v) => v.examples.map((code) => ({ ...v, code })));
    const files = examples.map(({ name, at, code }, i) => {
      const file = `${i}_${name}.ts`; // numbered: `Parameter` and `parameter` are one file on some disks
      Deno.writeTextFileSync(join(folder, file), `// ${at}\n${code}\nexport {};\n`);
      return file;
    });
    assert(files.length > 0);
    Deno.writeTextFileSync(join(folder, "run_all.ts"), runner(files));
    const [types, run] = await Promise.allSettled([
      deno(["check"], ["run_all.ts"], folder),
      deno(["run", "-A", "--no-check"], ["run_all.ts"], folder),
    ]);
    for (const done of [types, run]) if (done.status === "rejected") throw done.reason;
    assert(run.status === "fulfilled" && run.value.includes(`ran ${files.length} examples`));
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
console.log("ran ${files.length} examples");
Deno.exit(0);
`;
}
