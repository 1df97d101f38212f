import type { Command } from "commander";
import { writeSafetensors } from "../checkpoint/mod.ts";
import { KernelwrightError, raise } from "../errors.ts";
import { kernelReport } from "../kernelize/mod.ts";
import {
  type CausalLM,
  checkLength,
  checkPrompts,
  generate,
  loadCausalLM,
  loadTokenizer,
  readConfig,
  type Tokenizer,
} from "../models/mod.ts";
import { cast, checkSampleOptions, type SampleOptions } from "../ops/mod.ts";
import { keep, scope, Tensor } from "../tensor/mod.ts";
import { ALLOW_LINKS, number, oneOf, tokenIds, wholeNumber, writeNamed } from "./arguments.ts";
import { median, progress } from "./show.ts";
import { resolverFor } from "./resolver.ts";

interface RunFlags {
  allowLinks?: boolean;
  model: string;
  ids?: string;
  prompt?: string;
  maxNewTokens: string;
  kernels?: string;
  logits?: string;
  device: string;
  dtype: string;
  eos: boolean;
  capture?: boolean;
  greedy?: boolean;
  ignoreUnsupported?: boolean;
  temperature?: string;
  topK?: string;
  topP?: string;
  seed?: string;
  json?: boolean;
}

/** Adds `run`: a model, plain or with kernels, on ids or text. */
export function registerRun(program: Command): void {
  program.command("run")
    .description("run a model on token ids or text, plain or with kernels")
    .requiredOption("--model <dir>", "a folder in Hugging Face format")
    .option("--ids <list>", "the prompt as token ids: 1,2,3")
    .option("--prompt <text>", "the prompt as text, where the model has a tokenizer")
    .option("--max-new-tokens <n>", "how many tokens to generate", "32")
    .option("--allow-links", ALLOW_LINKS)
    .option("--kernels <file>", "a kernels.json")
    .option("--logits <file>", "write the prompt's float32 logits, [len, vocab], as safetensors")
    .option("--device <name>", "webgpu or reference (float64 on the host)", "webgpu")
    .option("--dtype <name>", "f32 or f16: what the weights become on the device", "f32")
    .option("--capture", "record the step of a generation once and replay it: faster, the same numbers")
    .option(
      "--temperature <t>",
      "draw ids instead of taking the likeliest; below 1 the likely become likelier",
    )
    .option("--top-k <n>", "draw from the n likeliest ids only")
    .option("--top-p <share>", "draw from the fewest ids that have this share of the probability: 0.9")
    .option("--seed <n>", "draw the same ids again; chosen and printed by default")
    .option("--greedy", "take the likeliest ids, whatever the model's generation_config.json says")
    .option(
      "--ignore-unsupported",
      "generate without what generation_config.json asks for and is not supported",
    )
    .option("--no-eos", "do not stop at the end-of-text id")
    .option("--json", "print one JSON object on stdout")
    .action(run);
}

// ---------------------------------------------------------------------------

async function run(flags: RunFlags): Promise<void> {
  const device = oneOf("--device", flags.device, ["webgpu", "reference"]);
  const dtype = oneOf("--dtype", flags.dtype, ["f32", "f16"]);
  const maxNewTokens = wholeNumber("--max-new-tokens", flags.maxNewTokens);
  const sampling = samplingOf(flags);
  const config = await readConfig(flags.model, undefined, flags); // that the folder is missing comes before that its tokenizer is
  const tokenizer = await loadTokenizer(flags.model, flags);
  const prompt = promptIds(flags, tokenizer);
  checkPrompts(config, [prompt]);
  checkLength(config, prompt.length, maxNewTokens);

  const began = performance.now();
  using model = await loadCausalLM(flags.model, {
    allowLinks: flags.allowLinks,
    kernels: flags.kernels,
    kernelize: flags.kernels ? { resolver: await resolverFor(flags.kernels) } : undefined,
    device,
    dtype,
    onProgress: progress("loading"),
  });
  const loadMs = performance.now() - began;
  console.error(`loaded ${flags.model} in ${loadMs.toFixed(0)} ms`);
  const report = kernelReport(model);
  if (report) console.error(String(report));

  if (flags.logits !== undefined) {
    await writeLogits(model, prompt, flags.logits);
    console.error(`wrote ${flags.logits}`);
  }
  const { ids, seed, promptMs, tokenMs } = await generate(model, [prompt], {
    maxNewTokens,
    sampling,
    unsupported: flags.ignoreUnsupported ? "ignore" : "error",
    eosTokenIds: flags.eos ? undefined : [],
    capture: flags.capture,
  });
  const text = tokenizer && textOf(tokenizer, ids[0]);
  const timings = {
    load_ms: round(loadMs),
    prompt_ms: round(promptMs),
    token_ms: round(median(tokenMs)),
    tokens_per_second: tokenMs.length > 0
      ? round(1000 * tokenMs.length / tokenMs.reduce((a, b) => a + b))
      : 0,
  };
  if (flags.json) {
    console.log(
      JSON.stringify({ prompt_ids: prompt, new_ids: ids[0], seed, text, report: report ?? null, timings }),
    );
    return;
  }
  console.log(text ?? ids[0].join(","));
  if (seed !== undefined) console.error(`seed ${seed}`);
  console.error(`${timings.prompt_ms} ms for the prompt, ${timings.token_ms} ms a token (median)`);
}

/** The text; undefined where the ids have none, which is not a reason to lose them. */
function textOf(tokenizer: Tokenizer, ids: readonly number[]): string | undefined {
  try {
    return tokenizer.decode(ids);
  } catch (error) {
    if (!(error instanceof KernelwrightError)) throw error;
    console.error(String(error.message));
    return undefined;
  }
}

/** Undefined where no flag says how: then the model's generation_config.json does. */
function samplingOf(flags: RunFlags): SampleOptions | false | undefined {
  const given = (["temperature", "topK", "topP", "seed"] as const).filter((key) => flags[key] !== undefined);
  if (flags.greedy && given.length > 0) {
    raise("KW-CLI-ARGUMENT", "--greedy does not go with flags that say how ids are drawn", "Leave one away.");
  }
  if (flags.greedy) return false;
  if (given.length === 0) return undefined;
  const sampling: SampleOptions = Object.fromEntries(
    given.map((key) => [key, number(NAMES[key], flags[key]!)]),
  );
  checkSampleOptions(sampling);
  return sampling;
}

const NAMES = { temperature: "--temperature", topK: "--top-k", topP: "--top-p", seed: "--seed" };

function promptIds(flags: RunFlags, tokenizer: Tokenizer | undefined): number[] {
  if ((flags.ids === undefined) === (flags.prompt === undefined)) {
    raise("KW-CLI-ARGUMENT", "run takes --ids or --prompt, one of the two", "For example --ids 1,2,3.");
  }
  if (flags.ids !== undefined) return tokenIds("--ids", flags.ids);
  if (!tokenizer) {
    raise("KW-CLI-ARGUMENT", `${flags.model} has no tokenizer.json`, "Give the prompt as --ids 1,2,3.");
  }
  const ids = tokenizer.encode(flags.prompt!);
  if (ids.length > 0) return ids;
  raise(
    "KW-CLI-ARGUMENT",
    `--prompt ${JSON.stringify(flags.prompt)} has no tokens, and the tokenizer adds none`,
    "Give a longer text, or begin with the bos token: --ids.",
  );
}

async function writeLogits(model: CausalLM, prompt: readonly number[], file: string): Promise<void> {
  const { device } = model;
  const logits = keep(scope(() => {
    const ids = Tensor.from(Int32Array.from(prompt), { shape: [1, prompt.length], device });
    return cast(model.call(ids).reshape([prompt.length, model.config.vocab_size]), "f32");
  }));
  try {
    await writeNamed("--logits", file, await writeSafetensors({ logits }));
  } finally {
    logits.dispose();
  }
}

function round(x: number): number {
  return Number(x.toFixed(3));
}
