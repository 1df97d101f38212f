import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { fileSource, openCheckpoint } from "../../sdk/checkpoint/mod.ts";
import { expectedJson, expectedTensor, modelDir, needsModels } from "../models/checkpoints.ts";
import { changedFolder } from "../models/encoder_inputs.ts";

const MAIN = decodeURIComponent(new URL("../../sdk/cli/main.ts", import.meta.url).pathname);
const KERNELS = decodeURIComponent(new URL("../../kernels.json", import.meta.url).pathname);

async function cli(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", MAIN, ...args],
    env: { NO_COLOR: "1", ...env },
  });
  const { code, stdout, stderr } = await command.output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

async function largestDifference(file: string, expected: Float32Array): Promise<number> {
  await using checkpoint = await openCheckpoint(await fileSource(file));
  const { source, offset, bytes, dtype, shape } = checkpoint.tensors.get("logits")!;
  assertEquals([dtype, shape], ["F32", [32, 512]]);
  const logits = new Float32Array((await source.read(offset, bytes)).slice().buffer);
  return Math.max(...logits.map((x, i) => Math.abs(x - expected[i])));
}

describe(needsModels("kernelwright run"), () => {
  for (const kernels of [[], ["--kernels", KERNELS]]) {
    it(`prints one JSON object and writes the prompt's logits, ${kernels.length ? "with kernels" : "plain"}`, async () => {
      const dir = await Deno.makeTempDir();
      try {
        const ids = await expectedJson<number[]>("stories260k", "input_ids");
        const { code, stdout, stderr } = await cli(
          [
            "run",
            "--model",
            modelDir("stories260k"),
            "--ids",
            ids.join(","),
            "--max-new-tokens",
            "3",
            "--json",
            "--logits",
            `${dir}/l.safetensors`,
            ...kernels,
          ],
        );
        assertEquals(code, 0, stderr);
        const said = JSON.parse(stdout);
        assertEquals(Object.keys(said).sort(), ["new_ids", "prompt_ids", "report", "text", "timings"]);
        assertEquals([said.prompt_ids, said.new_ids.length, typeof said.text], [ids, 3, "string"]);
        assertEquals(said.report?.sites.length, kernels.length ? 10 : undefined);
        const off = await largestDifference(
          `${dir}/l.safetensors`,
          await expectedTensor("stories260k", "logits", "logits"),
        );
        assert(off < 1e-4, `off by ${off}`);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });
  }

  it("computes on the reference device to float32's last place", async () => {
    const file = await Deno.makeTempFile();
    const ids = await expectedJson<number[]>("stories260k", "input_ids");
    const { code, stderr } = await cli(
      [
        "run",
        "--model",
        modelDir("stories260k"),
        "--device",
        "reference",
        "--ids",
        ids.join(","),
        "--max-new-tokens",
        "1",
        "--logits",
        file,
      ],
    );
    assertEquals(code, 0, stderr);
    const off = await largestDifference(file, await expectedTensor("stories260k", "logits", "logits"));
    assert(off < 1e-6, `off by ${off}`);
    await Deno.remove(file);
  });

  it("takes text where the model has a tokenizer", async () => {
    const { code, stdout } = await cli([
      "run",
      "--model",
      modelDir("stories260k"),
      "--prompt",
      "",
      "--max-new-tokens",
      "8",
      "--json",
    ]);
    assertEquals(code, 0);
    assertEquals(JSON.parse(stdout).text, "Once upon a time, there was a");
  });

  it("draws ids by a seed, the same ones again, and prints one that it chose", async () => {
    const draw = async (...more: string[]) => {
      const args = [
        "run",
        "--model",
        modelDir("stories260k"),
        "--ids",
        "1",
        "--max-new-tokens",
        "12",
        "--json",
      ];
      const { code, stdout, stderr } = await cli([
        ...args,
        "--temperature",
        "1.5",
        "--top-p",
        "0.9",
        ...more,
      ]);
      assertEquals(code, 0, stderr);
      return JSON.parse(stdout) as { new_ids: number[]; seed: number };
    };
    const first = await draw();
    assertEquals((await draw("--seed", String(first.seed), "--capture")).new_ids, first.new_ids);
  });

  it("says what is wrong with arguments, files and configs, prints nothing on stdout, and exits with 1", async () => {
    const dir = await Deno.makeTempDir();
    await Deno.writeTextFile(
      `${dir}/kernels.json`,
      JSON.stringify({ kernels: [{ replace: "RMSNrom", with: "./x:Y" }] }),
    );
    await Deno.writeTextFile(
      `${dir}/unknown.json`,
      JSON.stringify({ kernels: [{ replace: "RMSNorm", whit: "./x:Y" }] }),
    );
    const model = ["run", "--model", modelDir("stories260k")];
    for (
      const [args, words] of [
        [[...model, "--ids", "1,x"], ["KW-CLI-ARGUMENT", '--ids got "x"']],
        [[...model], ["KW-CLI-ARGUMENT", "--ids or --prompt"]],
        [[...model, "--ids", "1", "--max-new-tokens", "-2"], [
          "KW-CLI-ARGUMENT",
          '--max-new-tokens got "-2"',
        ]],
        [[...model, "--ids", "1", "--top-p", "90"], ["KW-SAMPLE-OPTION", "topP 90"]],
        [[...model, "--ids", "600"], ["KW-GENERATE-PROMPT", "id 600"]],
        [[...model, "--ids", "1", "--logits", `${dir}/no/such/folder/l.safetensors`], [
          "KW-CLI-ARGUMENT",
          "Give --logits a file",
        ]],
        [["run", "--model", `${dir}/nothing`, "--ids", "1"], ["KW-MODEL-TYPE", "config.json"]],
        [[...model, "--ids", "1", "--kernels", `${dir}/kernels.json`], [
          "KW-REF-MISSING",
          "./x:Y",
          "kernels[0]",
        ]],
        [[...model, "--ids", "1", "--kernels", `${dir}/unknown.json`], ["KW-CONFIG-KERNELS", "kernels[0]"]],
      ] as const
    ) {
      const { code, stdout, stderr } = await cli([...args]);
      assertEquals([code, stdout], [1, ""], stderr);
      for (const word of words) assert(stderr.includes(word), `${word} in: ${stderr}`);
    }
    await Deno.remove(dir, { recursive: true });
  });
});

describe(needsModels("kernelwright inspect"), () => {
  it("tells tree, swaps and conversions from headers alone, and explains a site", async () => {
    const args = ["inspect", modelDir("stories260k"), "--kernels", KERNELS];
    const { code, stdout, stderr } = await cli([...args, "--json"]);
    assertEquals(code, 0, stderr);
    const said = JSON.parse(stdout);
    assertEquals([said.tensors.length, said.missing, said.kernels.report.sites.length], [47, [], 10]);
    assert(said.kernels.conversions.some((c: { ops: string[] }) => c.ops.includes("concatenate")));
    const explained = await cli([...args, "--explain", "model.layers.2.mlp"]);
    assert(explained.stdout.includes("taken  RMSNormMLP"), explained.stdout);
    const inside = await cli([...args, "--explain", "model.layers.2.mlp.up_proj", "--json"]);
    assertEquals(JSON.parse(inside.stdout).kernel, "RMSNormMLP");
    const unknown = await cli([...args, "--explain", "model.layers.2.mpl"]);
    assertEquals([unknown.code, unknown.stdout], [1, ""]);
    assert(unknown.stderr.includes("KW-EXPLAIN-PATH"), unknown.stderr);
  });

  it("shows an encoder's tree, with the file's keys behind a prefix and what lies beside it", async () => {
    const dir = await changedFolder("distilbert-tiny-random", {
      rename: (key) => `distilbert.${key}`,
      extra: ["vocab_projector.bias"],
    });
    try {
      const { code, stdout, stderr } = await cli(["inspect", dir]);
      assertEquals(code, 0, stderr);
      assert(stdout.includes("DistilBertModel") && stdout.includes("F32 [150, 48]"), stdout);
      assert(stdout.includes('not read: "vocab_projector.bias"'), stdout);
      assert(!/missing|unexpected|not in the file/.test(stdout), stdout);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
});

describe("kernelwright demo", () => {
  it("writes its own model, runs it plain and with kernels, and finds that they agree", async () => {
    const cache = await Deno.makeTempDir();
    try {
      const { code, stdout, stderr } = await cli(["demo", "--max-new-tokens", "8"], {
        XDG_CACHE_HOME: cache,
      });
      assertEquals(code, 0, stdout + stderr);
      for (
        const part of ["RMSNormMLP", "CustomRMSNorm", "the same 8 tokens", "with kernels", "argmax equal at"]
      ) {
        assert(stdout.includes(part), `${part} in: ${stdout}`);
      }
    } finally {
      await Deno.remove(cache, { recursive: true });
    }
  });
});
