import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { main } from "../../sdk/cli/main.ts";
import { openGpu } from "../../sdk/gpu/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { haveModels, modelDir, needsModels } from "../models/checkpoints.ts";

/** Runs a command in this process. */
async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { log, error, warn } = console;
  const [out, err]: [string[], string[]] = [[], []];
  console.log = (...said) => out.push(said.join(" "));
  console.error = console.warn = (...said) => err.push(said.join(" "));
  try {
    return { code: await main(args), out: out.join("\n"), err: err.join("\n") };
  } finally {
    Object.assign(console, { log, error, warn });
  }
}

async function assertRefused(code: string, words: string, args: readonly string[]): Promise<void> {
  const said = await run(...args);
  assertEquals([said.code, said.out], [1, ""], said.err);
  assertStringIncludes(said.err, code, args.join(" "));
  assertStringIncludes(said.err, words, args.join(" "));
}

describe(needsModels("the numbers of the command line"), () => {
  gpuForFile();

  const model = ["run", "--model", haveModels ? modelDir("stories260k") : ""];

  it("generates nothing where nothing is asked for", async () => {
    await openGpu();
    const { code, out, err } = await run(...model, "--ids", "1", "--max-new-tokens", "0", "--json");
    assertEquals(code, 0, err);
    const { new_ids, text, timings } = JSON.parse(out);
    assertEquals([new_ids, text, timings.tokens_per_second], [[], "", 0]);
    assertEquals((await run(...model, "--ids", "1", "--max-new-tokens", "0")).code, 0);
  });

  it("takes whole numbers for counts, and says which flag got something else", async () => {
    for (
      const n of [
        "-1",
        "1.5",
        "many",
        "",
        " ",
        "NaN",
        "Infinity",
        "0x10",
        "1e1",
        "1_000",
        "99999999999",
        "１",
      ]
    ) {
      const words = `--max-new-tokens got ${JSON.stringify(n)}`;
      await assertRefused("KW-CLI-ARGUMENT", words, [...model, "--ids", "1", `--max-new-tokens=${n}`]);
      await assertRefused("KW-CLI-ARGUMENT", words, ["demo", `--max-new-tokens=${n}`]);
    }
    for (const n of ["0", "1"]) {
      await assertRefused("KW-CLI-ARGUMENT", "at least 2", ["demo", `--max-new-tokens=${n}`]);
    }
    for (const ids of ["", "1,", ",1", "1,,2", "-1", "1.5", "0x1", "one", "1 2"]) {
      await assertRefused("KW-CLI-ARGUMENT", "--ids got", [...model, `--ids=${ids}`]);
    }
  });

  it("takes numbers in range for how ids are drawn", async () => {
    const cases: [string, string, string[]][] = [
      ["--temperature", "temperature", ["0", "-1", "1e400"]],
      ["--top-k", "topK", ["0", "-3", "1.5"]],
      ["--top-p", "topP", ["0", "-0.5", "90"]],
      ["--seed", "seed", ["-1", "0.5", "4294967296"]],
    ];
    for (const [flag, name, values] of cases) {
      for (const v of values) {
        await assertRefused("KW-SAMPLE-OPTION", `with ${name}`, [...model, "--ids=1", `${flag}=${v}`]);
      }
      for (const v of ["", "hot", "NaN", "Infinity", "0x1", "1,5"]) {
        await assertRefused("KW-CLI-ARGUMENT", `${flag} got`, [...model, "--ids=1", `${flag}=${v}`]);
      }
    }
    await assertRefused("KW-CLI-ARGUMENT", "--greedy", [...model, "--ids=1", "--greedy", "--seed=1"]);
  });

  it("refuses ids that the model does not have before it loads or writes anything", async () => {
    const file = `${await Deno.makeTempDir()}/logits.safetensors`;
    for (const ids of ["512", "1,4000000"]) {
      await assertRefused("KW-GENERATE-PROMPT", "id ", [...model, `--ids=${ids}`, "--logits", file]);
    }
    assert(await Deno.stat(file).then(() => false, () => true));
    await assertRefused("KW-GENERATE-PROMPT", "maxNewTokens", [
      ...model,
      "--ids=1",
      "--max-new-tokens=100000",
    ]);
  });
});
