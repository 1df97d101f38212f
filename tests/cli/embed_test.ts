import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { expectedJson, expectedTensor, modelDir, needsModels } from "../models/checkpoints.ts";
import type { Input } from "../models/encoder_inputs.ts";

const MAIN = decodeURIComponent(new URL("../../sdk/cli/main.ts", import.meta.url).pathname);
const MINILM = "minilm-sentence-tiny-random";

async function embed(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", MAIN, "embed", ...args],
    env: { NO_COLOR: "1" },
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

describe(needsModels("kernelwright embed"), () => {
  it("prints vectors and similarities as one JSON object", async () => {
    const inputs = await expectedJson<Input[]>(MINILM, "inputs");
    const rows = inputs.filter((i) => !i.token_type_ids)
      .map((i) => ({ name: i.name, ids: i.input_ids.filter((_, t) => i.attention_mask[t]) }));
    const { code, stdout, stderr } = await embed(
      ...["--model", modelDir(MINILM), "--json"],
      ...rows.flatMap(({ ids }) => ["--ids", ids.join(",")]),
    );
    assertEquals(code, 0, stderr);
    const said = JSON.parse(stdout);
    assertEquals([said.width, said.pooling, said.normalize], [48, ["mean"], true]);
    for (const [i, { name }] of rows.entries()) {
      const wanted = await expectedTensor(MINILM, "outputs", `${name}.sentence_embedding`);
      assert(wanted.every((v, d) => Math.abs(v - said.vectors[i][d]) < 1e-5), name);
      assert(Math.abs(said.similarities[i][i] - 1) < 1e-5);
    }
    assertEquals(said.similarities[0][1], said.similarities[1][0]);
  });

  it("prints the first numbers and a table for people", async () => {
    const { code, stdout, stderr } = await embed(
      ...[
        "--model",
        modelDir("roberta-tiny-random"),
        "--pooling",
        "cls",
        "--normalize",
        "--device",
        "reference",
      ],
      ...["--ids", "5,6", "--ids", "5,7,8"],
    );
    assertEquals(code, 0, stderr);
    assert(/^1 {2}5,6\n {3}40 numbers: (-?\d\.\d{4} {2}){6}…\n2 {2}5,7,8\n/.test(stdout), stdout);
    assert(
      /cosine similarities\n +1 +2\n +1 +1\.0000 +-?0\.\d{4}\n +2 +-?0\.\d{4} +1\.0000\n$/.test(stdout),
      stdout,
    );
  });

  it("says what is wrong, prints nothing on stdout, and exits with 1", async () => {
    for (
      const [args, said] of [
        [["--model", modelDir(MINILM)], "neither texts nor ids"],
        [["--model", modelDir(MINILM), "hello"], "tokenizer.json"],
        [["--model", modelDir(MINILM), "--ids", "1,x"], "--ids"],
        [["--model", modelDir(MINILM), "--ids", "1,999"], "id 999"],
        [["--model", modelDir("roberta-tiny-random"), "--ids", "1"], "modules.json"],
        [["--model", modelDir(MINILM), "--pooling", "median", "--ids", "1"], "--pooling"],
      ] as const
    ) {
      const { code, stdout, stderr } = await embed(...args);
      assertEquals([code, stdout], [1, ""], args.join(" "));
      assert(stderr.includes(said), stderr);
    }
  });
});
