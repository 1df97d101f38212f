/**
 * The page of model_test.ts: loads a model in every way that a page has, writes with it, and posts what it saw.
 *
 * @module
 */
import * as norm from "../../examples/custom-rmsnorm/mod.ts";
import * as mlp from "../../examples/rmsnorm-mlp/mod.ts";
import { kernelize, memory, type MemoryReport, openGpu, Tensor, unkernelize } from "@kernelwright/sdk";
import { exported, parseReference, type RefResolver, useKernelMapping } from "@kernelwright/sdk/config";
import { currentGpu } from "@kernelwright/sdk/internal";
import {
  AutoModelForCausalLM,
  type CausalLM,
  generate,
  LlamaForCausalLM,
  loadTokenizer,
  savePretrained,
} from "@kernelwright/sdk/models";

// Of the page's own interfaces, what Deno's types lack.
declare class DataTransfer {
  readonly items: { add(file: File): void };
  readonly files: Iterable<File>;
}
declare const document: { createElement(tag: "input"): { type: string; files: Iterable<File> | null } };

/** What the page tells. */
export interface Seen {
  error?: string;
  adapter?: string;
  features?: string[];
  /** The new ids of each way. */
  readonly ids: Record<string, readonly number[]>;
  /** Ids that were drawn with one seed, eager and captured. */
  readonly drawn: (readonly number[])[];
  /** Counts, by when they were taken. */
  readonly memory: Record<string, MemoryReport>;
  /** Pipelines that were made after `ready`. */
  compiledLate?: number;
  /** Timers that were waited for while it wrote: a hidden page's are slow. */
  timers?: number;
  text?: string;
  swapped?: string[];
  /** How many kernels a mapping in scope put in. */
  mapped?: number;
  /** Whether each verified kernel was within its tolerance. */
  checked?: boolean[];
  /** Whether all of them were timed on the GPU. */
  timed?: boolean;
  /** The codes of errors. */
  refused?: Record<string, string>;
}

const seen: Seen = { ids: {}, drawn: [], memory: {} };
const names = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];

/** Where kernels.json's references lead in this page. */
const modules: Record<string, Record<string, unknown>> = {
  "./examples/custom-rmsnorm": norm,
  "./examples/rmsnorm-mlp": mlp,
};
const resolver: RefResolver = (ref) => {
  const { where, name } = parseReference(ref);
  return Promise.resolve(exported(modules[where] ?? {}, name, ref));
};

async function write(model: CausalLM, capture = false): Promise<readonly number[]> {
  const { ids } = await generate(model, [[1]], { maxNewTokens: 32, eosTokenIds: [], capture });
  return ids[0];
}

async function run(): Promise<void> {
  if (!await navigator.gpu?.requestAdapter()) return;
  await openGpu();
  const gpu = currentGpu();
  seen.adapter = [gpu.info.vendor, gpu.info.architecture].join(" ");
  seen.features = [...gpu.features];
  seen.memory.opened = memory();

  const model = await LlamaForCausalLM.fromPretrained("model", { budget: 256 * 1024 });
  await model.ready({ tokens: [1] }); // SwiftShader takes long for the shaders of longer prompts
  gpu.trim();
  seen.memory.loaded = memory();
  const before = gpu.pipelines.size;
  const setTimer = globalThis.setTimeout;
  seen.timers = 0;
  globalThis.setTimeout = ((...args: Parameters<typeof setTimer>) => {
    seen.timers!++;
    return setTimer(...args);
  }) as typeof setTimer;
  seen.ids.eager = await write(model);
  globalThis.setTimeout = setTimer;
  seen.compiledLate = gpu.pipelines.size - before;
  seen.ids.captured = await write(model, true);
  for (const capture of [false, true]) {
    const sampling = { temperature: 1.1, topK: 60, topP: 0.95, seed: 5 };
    const { ids } = await generate(model, [[1]], { maxNewTokens: 16, eosTokenIds: [], capture, sampling });
    seen.drawn.push(ids[0]);
  }
  gpu.trim();
  seen.memory.written = memory();
  const tokenizer = await loadTokenizer("model");
  seen.text = tokenizer!.decode(seen.ids.eager);

  const config = await (await fetch("kernels.json")).json();
  {
    using ids = Tensor.from(Int32Array.of(1, 403, 407, 261), { shape: [1, 4] });
    const report = await kernelize(model, config, { resolver, verify: { inputs: [ids] } });
    seen.swapped = report.swapped.map((s) => s.kernel!);
    seen.timed = report.swapped.every((s) => s.ms !== undefined);
    seen.checked = report.swapped.map((s) => s.differences?.every((d) => d.passed) ?? false);
  }
  seen.ids.kernelized = await write(model);
  seen.ids.kernelizedCaptured = await write(model, true);
  unkernelize(model);
  const mapped = await useKernelMapping({ RMSNorm: norm.CustomRMSNorm }, {}, () => kernelize(model));
  seen.mapped = mapped.swapped.length;
  unkernelize(model);
  seen.ids.unkernelized = await write(model);
  gpu.trim();
  seen.memory.unkernelized = memory();
  seen.refused = { "saving": await codeOf(() => savePretrained(model, "folder")) };
  model.dispose();
  gpu.trim();
  seen.memory.disposed = memory();

  {
    const whole = new URL("whole/", location.href); // a server without ranges
    const kernels = { kernels: "kernels.json", kernelize: { resolver } };
    using model = await LlamaForCausalLM.fromPretrained(whole, kernels);
    seen.ids.wholeWithKernels = await write(model, true);
  }
  {
    const picked = new DataTransfer();
    for (const name of names) {
      picked.items.add(new File([await (await fetch(`whole/${name}`)).blob()], name));
    }
    const input = document.createElement("input");
    input.type = "file";
    input.files = picked.files;
    using model = await AutoModelForCausalLM.fromPretrained(input.files);
    seen.ids.picked = await write(model);
  }
  seen.refused = {
    ...seen.refused,
    "a reference without a resolver": await codeOf(() =>
      LlamaForCausalLM.fromPretrained("model", { kernels: "kernels.json" })
    ),
    "an address with nothing": await codeOf(() => LlamaForCausalLM.fromPretrained("nothing")),
    "too few files": await codeOf(() => LlamaForCausalLM.fromPretrained([new File([], "model.safetensors")])),
  };
  gpu.trim();
  seen.memory.end = memory();
}

async function codeOf(fn: () => Promise<unknown>): Promise<string> {
  return await fn().then(() => "done", (error) => error.code ?? String(error));
}

try {
  await run();
} catch (error) {
  seen.error = String((error as Error)?.stack ?? error);
}
await fetch("/result", { method: "POST", body: JSON.stringify(seen) });
