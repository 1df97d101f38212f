import type { Command } from "commander";
import { raise } from "../errors.ts";
import { cosineSimilarity, type EmbedInput, POOLINGS, SentenceEmbedder } from "../models/mod.ts";
import { visibleLine } from "../visible.ts";
import { oneOf, tokenIds } from "./arguments.ts";
import { resolverFor } from "./resolver.ts";
import { progress } from "./show.ts";

interface EmbedFlags {
  model: string;
  ids?: string[];
  pooling?: string;
  normalize?: boolean;
  prompt?: string;
  kernels?: string;
  device: string;
  dtype: string;
  json?: boolean;
}

/** Adds `embed`: an encoder on texts or ids, and how alike they are. */
export function registerEmbed(program: Command): void {
  program.command("embed")
    .description("turn texts into vectors with an encoder, and show how alike they are")
    .argument("[texts...]", "the texts")
    .requiredOption(
      "--model <dir>",
      "a folder in Hugging Face format; modules.json says how texts are embedded",
    )
    .option(
      "--ids <list>",
      "token ids in place of a text: 1,2,3; may be given several times",
      (list: string, before: string[] = []) => [...before, list],
    )
    .option(
      "--pooling <name>",
      `how tokens become one vector, where the folder does not say: ${POOLINGS.join(", ")}`,
    )
    .option("--normalize", "divide vectors by their length, whatever the folder says")
    .option("--no-normalize", "leave vectors as they are, whatever the folder says")
    .option("--prompt <name>", "a prompt of the folder that is put before each text")
    .option("--kernels <file>", "a kernels.json")
    .option("--device <name>", "webgpu or reference (float64 on the host)", "webgpu")
    .option("--dtype <name>", "f32 or f16: what the weights become on the device", "f32")
    .option("--json", "print one JSON object on stdout")
    .action(embed);
}

// ---------------------------------------------------------------------------

async function embed(texts: string[], flags: EmbedFlags): Promise<void> {
  const device = oneOf("--device", flags.device, ["webgpu", "reference"]);
  const dtype = oneOf("--dtype", flags.dtype, ["f32", "f16"]);
  const pooling = flags.pooling === undefined ? undefined : oneOf("--pooling", flags.pooling, POOLINGS);
  const ids = (flags.ids ?? []).map((list) => tokenIds("--ids", list));
  const inputs: EmbedInput[] = [...texts, ...ids];
  if (inputs.length === 0) {
    raise("KW-CLI-ARGUMENT", "embed got neither texts nor ids", 'Give "a text", or --ids 1,2,3.');
  }
  using embedder = await SentenceEmbedder.fromPretrained(flags.model, {
    kernels: flags.kernels,
    kernelize: flags.kernels ? { resolver: await resolverFor(flags.kernels) } : undefined,
    device,
    dtype,
    pooling,
    normalize: flags.normalize,
    onProgress: progress("loading"),
  });
  const vectors = await embedder.embed(inputs, { prompt: flags.prompt });
  const similarities = vectors.map((a) => vectors.map((b) => cosineSimilarity(a, b)));
  if (flags.json) {
    const { pooling, normalize } = embedder.settings;
    console.log(JSON.stringify({
      inputs,
      width: embedder.width,
      pooling,
      normalize,
      vectors: vectors.map((v) => Array.from(v)),
      similarities,
    }));
    return;
  }
  const names = inputs.map((input) => visibleLine(typeof input === "string" ? input : String(input)));
  vectors.forEach((vector, i) => {
    const first = Array.from(vector.subarray(0, FIRST), (v) => v.toFixed(4)).join("  ");
    console.log(`${i + 1}  ${shortened(names[i])}`);
    console.log(`   ${vector.length} numbers: ${first}${vector.length > FIRST ? "  …" : ""}`);
  });
  console.log("\ncosine similarities");
  const row = (cells: readonly string[]) => console.log(cells.map((c) => c.padStart(7)).join(" "));
  row(["", ...vectors.map((_, i) => String(i + 1))]);
  similarities.forEach((line, i) => row([String(i + 1), ...line.map((s) => s.toFixed(4))]));
}

const FIRST = 6;

function shortened(text: string): string {
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
