import type { Command } from "commander";
import { currentGpu, memory, openGpu } from "../gpu/mod.ts";
import { drawTable, type KernelConfig, kernelize, type KernelReport, unkernelize } from "../kernelize/mod.ts";
import {
  type CausalLM,
  generate,
  type Generation,
  loadCausalLM,
  loadTokenizer,
  readKernelConfig,
} from "../models/mod.ts";
import { Tensor } from "../tensor/mod.ts";
import { ALLOW_LINKS, wholeNumber } from "./arguments.ts";
import { demoModel } from "./demo_model.ts";
import { formatBytes, median, progress } from "./show.ts";
import { resolverFor } from "./resolver.ts";

interface DemoFlags {
  allowLinks?: boolean;
  model?: string;
  kernels?: string;
  maxNewTokens: string;
}

/** Adds `demo`: a model plain and with kernels, side by side. */
export function registerDemo(program: Command): void {
  program.command("demo")
    .description("run a model plain, put kernels into it, run it again, and show that the two agree")
    .option("--model <dir>", "a folder in Hugging Face format; defaults to a small random Llama")
    .option("--allow-links", ALLOW_LINKS)
    .option("--kernels <file>", "a kernels.json; defaults to the examples")
    .option("--max-new-tokens <n>", "how many tokens to generate", "48")
    .action(demo);
}

// ---------------------------------------------------------------------------

async function demo(flags: DemoFlags): Promise<void> {
  const maxNewTokens = wholeNumber("--max-new-tokens", flags.maxNewTokens, 2);
  const dir = flags.model ?? await demoModel();
  const kernels = flags.kernels
    ? await readKernelConfig(flags.kernels)
    : { config: EXAMPLES, base: new URL("../../", import.meta.url) };
  const gpu = await openGpu();
  console.log(`adapter  ${gpu.info.description || gpu.info.vendor}`);
  using model = await loadCausalLM(dir, { allowLinks: flags.allowLinks, onProgress: progress("loading") });
  const tokenizer = await loadTokenizer(dir, flags);
  const prompt = tokenizer ? tokenizer.encode("") : [];
  if (prompt.length === 0) prompt.push(model.config.bos_token_id ?? 1);
  console.log(
    `model    ${dir}: ${model.config.model_type}, ${model.config.num_hidden_layers} layers, ${
      formatBytes(memory().bytes)
    } on the GPU\n`,
  );

  const options = {
    base: kernels.base,
    resolver: flags.kernels ? await resolverFor(flags.kernels) : undefined,
  };
  let plain = await measure(model, prompt, maxNewTokens);
  const sample = prompt.concat(plain.run.ids[0]).slice(0, 12); // float64 on the host takes a while for more
  const ids = Tensor.from(Int32Array.from(sample), { shape: [1, sample.length] });
  const verify = { inputs: [ids], onFail: "report" as const };
  const report = await kernelize(model, kernels.config, { ...options, verify });
  ids.dispose();
  let fused = await measure(model, prompt, maxNewTokens);
  // Once more each, in turn: what else the machine does then falls on both.
  unkernelize(model);
  plain = together(plain, await measure(model, prompt, maxNewTokens));
  await kernelize(model, kernels.config, options);
  fused = together(fused, await measure(model, prompt, maxNewTokens));

  console.log(`${report}\n`);
  console.log(`${summary(plain, fused)}\n`);
  console.log(`tokens   ${sameTokens(plain.run, fused.run)}`);
  const text = tokenizer?.decode(fused.run.ids[0]);
  console.log(text === undefined ? `ids      ${fused.run.ids[0].join(" ")}` : `text     ${text}`);
  if (!agrees(report, plain.run, fused.run)) Deno.exitCode = 1;
}

const EXAMPLES: KernelConfig = {
  kernels: [
    {
      replace: "RMSNorm",
      at: ["model.layers.*.input_layernorm", "model.norm"],
      with: "./examples/custom-rmsnorm:CustomRMSNorm",
    },
    {
      fuse: [["RMSNorm", "model.layers.*.post_attention_layernorm"], ["LlamaMLP", "model.layers.*.mlp"]],
      with: "./examples/rmsnorm-mlp:RMSNormMLP",
    },
  ],
};

interface Measured {
  readonly run: Generation;
  readonly dispatches: number;
  readonly bytes: number;
  readonly peak: number;
}

async function measure(model: CausalLM, prompt: readonly number[], maxNewTokens: number): Promise<Measured> {
  const gpu = currentGpu();
  const options = { maxNewTokens, eosTokenIds: [], sampling: false, unsupported: "ignore" } as const;
  await generate(model, [prompt], { ...options, maxNewTokens: 2 }); // compiles the shaders
  gpu.trim();
  gpu.pool.resetPeak();
  const [dispatches, bytes] = [gpu.stream.dispatches, memory().bytes];
  const run = await generate(model, [prompt], options);
  return {
    run,
    dispatches: (gpu.stream.dispatches - dispatches) / maxNewTokens,
    bytes,
    peak: memory().peakBytes,
  };
}

function together(a: Measured, b: Measured): Measured {
  return { ...b, run: { ...b.run, tokenMs: [...a.run.tokenMs, ...b.run.tokenMs] } };
}

function summary(plain: Measured, fused: Measured): string {
  const row = (name: string, m: Measured) => {
    const token = median(m.run.tokenMs);
    return [
      name,
      `${token.toFixed(1)} ms`,
      `${(token / median(plain.run.tokenMs)).toFixed(2)}×`,
      m.dispatches.toFixed(0),
      formatBytes(m.bytes),
      formatBytes(m.peak),
    ];
  };
  return drawTable([
    ["", "per token", "", "dispatches", "weights", "GPU peak"],
    row("plain", plain),
    row("with kernels", fused),
  ]);
}

function sameTokens(a: Generation, b: Generation): string {
  const at = a.ids[0].findIndex((id, i) => id !== b.ids[0][i]);
  return at < 0
    ? `the same ${a.ids[0].length} tokens`
    : `tokens part ways at ${at}: ${a.ids[0][at]} and ${b.ids[0][at]}`;
}

/** Whether the demo may call the two equal. */
function agrees(report: KernelReport, a: Generation, b: Generation): boolean {
  return report.sites.every((s) => s.differences?.every((d) => d.passed) ?? true) &&
    a.ids[0].every((id, i) => id === b.ids[0][i]);
}
