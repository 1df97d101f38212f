import type { Command } from "commander";
import { openGpu } from "../gpu/mod.ts";
import { kernelize, type KernelReport } from "../kernelize/mod.ts";
import { type CausalLM, checkPrompts, generate, loadCausalLM, readKernelConfig } from "../models/mod.ts";
import { byteLength, Tensor } from "../tensor/mod.ts";
import { ALLOW_LINKS, tokenIds, writeNamed } from "./arguments.ts";
import { type PageFacts, reportPage } from "./report_page.ts";
import { resolverFor } from "./resolver.ts";
import { formatBytes, progress } from "./show.ts";

interface ReportFlags {
  allowLinks?: boolean;
  model: string;
  kernels: string;
  ids?: string;
  out: string;
  json?: boolean;
}

/** Adds `report`: verifies kernels in a model, and writes what was found as a page. */
export function registerReport(program: Command): void {
  program.command("report")
    .description("verify and time kernels in a model, and write what was found as a page")
    .requiredOption("--model <dir>", "a folder in Hugging Face format")
    .option("--allow-links", ALLOW_LINKS)
    .requiredOption("--kernels <file>", "a kernels.json")
    .option("--ids <list>", "token ids to run; defaults to what the model writes by itself")
    .option("--out <file>", "the page, one self-contained HTML file", "report.html")
    .option("--json", "print the report as JSON on stdout instead")
    .action(report);
}

// ---------------------------------------------------------------------------

async function report(flags: ReportFlags): Promise<void> {
  const { config, base } = await readKernelConfig(flags.kernels);
  const gpu = await openGpu();
  using model = await loadCausalLM(flags.model, {
    allowLinks: flags.allowLinks,
    onProgress: progress("loading"),
  });
  const tree = treeOf(model);
  const ids = await sampleIds(model, flags);
  using input = Tensor.from(Int32Array.from(ids), { shape: [1, ids.length] });
  const found: KernelReport = await kernelize(model, config, {
    base,
    resolver: await resolverFor(flags.kernels),
    verify: { inputs: [input], onFail: "report" },
  });
  console.error(String(found));
  if (flags.json) return console.log(JSON.stringify(found));
  const bytes = [...new Set(model.stateDict().values())].reduce(
    (n, p) => n + byteLength(p),
    0,
  );
  const facts: PageFacts = {
    model: flags.model,
    about: `${model.config.model_type}, ${model.config.num_hidden_layers} layers, ${
      formatBytes(bytes)
    }, verified on ${ids.length} tokens`,
    adapter: gpu.info.description || gpu.info.vendor,
    tree,
  };
  const { out } = flags;
  await writeNamed("--out", out, reportPage(found, facts));
  console.error(`wrote ${out}`);
}

async function sampleIds(model: CausalLM, flags: ReportFlags): Promise<number[]> {
  if (flags.ids !== undefined) {
    const ids = tokenIds("--ids", flags.ids);
    checkPrompts(model.config, [ids]);
    return ids;
  }
  const prompt = [model.config.bos_token_id ?? 1];
  const { ids } = await generate(model, [prompt], {
    maxNewTokens: 31,
    eosTokenIds: [],
    sampling: false,
    unsupported: "ignore",
  });
  return [...prompt, ...ids[0]];
}

function treeOf(model: CausalLM): PageFacts["tree"] {
  return [...model.namedModules()].map(([path, m]) => ({
    path,
    className: m.constructor.name,
    depth: path === "" ? 0 : path.split(".").length,
  }));
}
