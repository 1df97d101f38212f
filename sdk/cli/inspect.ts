import type { Command } from "commander";
import { type Checkpoint, openCheckpoint, planLoad } from "../checkpoint/mod.ts";
import { raise } from "../errors.ts";
import { explainPlan, type KernelPlan, planKernelize } from "../kernelize/mod.ts";
import { joinPath, type Module, ModuleList } from "../nn/mod.ts";
import { FAMILIES, readFamily, readKernelConfig, unknownKeysLine } from "../models/mod.ts";
import { resolverFor } from "./resolver.ts";
import { formatBytes } from "./show.ts";
import { visibleLine } from "../visible.ts";

interface InspectFlags {
  kernels?: string;
  explain?: string;
  all?: boolean;
  json?: boolean;
}

/** Adds `inspect`: a model's tree, and what kernels would do to it, from headers alone. */
export function registerInspect(program: Command): void {
  program.command("inspect")
    .description("show a model's tree, and what kernels would swap and convert, without reading weights")
    .argument("<dir>", "a folder in Hugging Face format")
    .option("--kernels <file>", "a kernels.json")
    .option("--explain <path>", "why the module at a path would run what it runs, with each candidate kernel")
    .option("--all", "show every layer, also those that are alike")
    .option("--json", "print one JSON object on stdout")
    .action(inspect);
}

// ---------------------------------------------------------------------------

async function inspect(dir: string, flags: InspectFlags): Promise<void> {
  const { family, config } = await readFamily(dir, FAMILIES);
  const model = family.build(config);
  const checkpoint = await openCheckpoint(dir);
  try {
    family.trim?.(model, [...checkpoint.tensors.keys()]);
    const mapping = family.mapping?.(checkpoint.tensors.keys(), config);
    const full = planLoad(model, checkpoint.tensors.values(), { mapping });
    const isElsewhere = (key: string) => family.isElsewhere?.(key) ?? false;
    const isLeftOut = (key: string) => isElsewhere(key) || (family.isOldBuffer?.(key) ?? false);
    const ignored = full.unexpected.filter((v) => isLeftOut(v.name)).map((v) => v.name);
    const plan = { ...full, unexpected: full.unexpected.filter((v) => !isLeftOut(v.name)) };
    const unknownKeys = config.unknown_keys ?? [];
    const kernels = flags.kernels === undefined ? undefined : await readKernelConfig(flags.kernels);
    const planned = kernels && await planKernelize(model, kernels.config, {
      base: kernels.base,
      resolver: await resolverFor(flags.kernels!),
    });
    if (flags.explain !== undefined) return explain(flags.explain, flags.json ?? false, planned);
    if (flags.json) {
      console.log(JSON.stringify(
        {
          model_type: config.model_type,
          tensors: [...checkpoint.tensors.values()].map(({ key, dtype, shape, bytes }) => ({
            key,
            dtype,
            shape,
            bytes,
          })),
          missing: plan.missing.map((m) => m.key),
          unexpected: plan.unexpected.map((v) => v.name),
          ignored,
          unknownConfigKeys: unknownKeys,
          mismatched: plan.mismatched,
          kernels: planned && { report: planned.report, conversions: conversionsOf(planned.plan) },
        },
        null,
        2,
      ));
      return;
    }
    console.log(
      `${dir}  (${config.model_type}, ${checkpoint.files.length} file${
        checkpoint.files.length > 1 ? "s" : ""
      })`,
    );
    for (const line of drawTree(model, checkpoint, flags.all ?? false)) console.log(visibleLine(line));
    const bytes = [...checkpoint.tensors.values()].reduce((n, t) => n + t.bytes, 0);
    console.log(`${checkpoint.tensors.size} tensors, ${formatBytes(bytes)}`);
    if (unknownKeys.length > 0) console.log(unknownKeysLine(unknownKeys));
    for (const key of ignored) {
      const why = isElsewhere(key) ? "of a part that is not built here" : "a buffer of an old version";
      console.log(`left out: ${JSON.stringify(key)} (${why})`);
    }
    for (const m of plan.missing) console.log(visibleLine(`missing: ${m.key}`));
    for (const v of plan.unexpected) console.log(visibleLine(`unexpected: ${v.name}`));
    for (const m of plan.mismatched) {
      console.log(visibleLine(`does not fit: ${m.key} is ${m.checkpoint}, and the model wants ${m.model}`));
    }
    if (planned) {
      console.log(`\n${planned.report}\n`);
      for (const line of conversionLines(planned.plan, flags.all ?? false)) console.log(line);
    }
  } finally {
    await checkpoint.close();
  }
}

function explain(path: string, json: boolean, planned: Parameters<typeof explainPlan>[0] | undefined): void {
  if (!planned) {
    raise(
      "KW-CLI-ARGUMENT",
      "--explain needs --kernels",
      "Give the kernels.json whose choice is to be explained.",
    );
  }
  const explanation = explainPlan(planned, path);
  console.log(json ? JSON.stringify(explanation, null, 2) : String(explanation));
}

function conversionsOf(
  plan: KernelPlan,
): { site: string; kernel: string; sources: string[]; targets: string[]; ops: string[] }[] {
  return plan.sites.flatMap((s) =>
    s.conversions.rules.map((r) => ({
      site: s.path,
      kernel: s.kernel.name,
      sources: r.sources.map((p) => p.key),
      targets: r.targets.map((p) => p.key),
      ops: r.bound.rule.ops.map((o) => o.name),
    }))
  );
}

/** A line for each conversion; those of layers that are alike share one. */
function conversionLines(plan: KernelPlan, all: boolean): string[] {
  const lines = conversionsOf(plan).map(({ site, sources, targets, ops }) => {
    const line = `${site}: ${sources.join(", ")} → ${targets.join(", ")}`;
    return ops.length > 0 ? `${line}  (${ops.join(", ")})` : line;
  });
  if (all) return lines;
  const alike = Map.groupBy(lines, (line) => line.replaceAll(/\.\d+(?=[.,: ])/g, ".*"));
  return [...alike].map(([line, them]) => them.length > 1 ? `${line}  ×${them.length}` : them[0]);
}

/** The tree as lines; a list's members that are alike share one branch. */
function drawTree(root: Module, checkpoint: Checkpoint, all: boolean): string[] {
  const lines: string[] = [];
  const visit = (module: Module, label: string, path: string, indent: string) => {
    lines.push(`${indent}${label}  ${module.constructor.name}`);
    for (const [name, p] of module.parameters()) {
      const entry = checkpoint.tensors.get(joinPath(path, name));
      const what = entry
        ? `${entry.dtype} [${entry.shape.join(", ")}]  ${formatBytes(entry.bytes)}`
        : `[${p.shape.join(", ")}]  not in the file (tied, or missing)`;
      lines.push(`${indent}  ${name}  ${what}`);
    }
    const children = [...module.children()];
    if (module instanceof ModuleList && !all) {
      for (const run of alike(children)) {
        const [first] = run;
        const last = run.at(-1)!;
        visit(
          first[1],
          run.length > 1 ? `${first[0]}…${last[0]} (${run.length}×)` : first[0],
          joinPath(path, first[0]),
          `${indent}  `,
        );
      }
    } else for (const [name, child] of children) visit(child, name, joinPath(path, name), `${indent}  `);
  };
  visit(root, "model", "", "");
  return lines;
}

function alike(children: readonly [string, Module][]): [string, Module][][] {
  const runs: [string, Module][][] = [];
  let before = "";
  for (const child of children) {
    const shape = [...child[1].namedModules()].map(([p, m]) =>
      `${p}:${m.constructor.name}:${[...m.parameters()].map(([n, q]) => `${n}[${q.shape}]`)}`
    ).join();
    if (shape === before) runs.at(-1)!.push(child);
    else runs.push([child]);
    before = shape;
  }
  return runs;
}
