/**
 * The bench: `./dev bench [--only PATTERN] [--quick] [--json] [--no-peers] [--save]`.
 *
 * @module
 */
import { Command } from "commander";
import { fromFileUrl } from "@std/path";
import { render } from "./report.ts";
import type { Effort, Report, Subject } from "./subject.ts";
import { attentionSubject } from "./subjects/attention.ts";
import { dispatchSubject } from "./subjects/dispatch.ts";
import { firstCallSubject } from "./subjects/first_call.ts";
import { flatSubject } from "./subjects/flat.ts";
import { loadingSubject } from "./subjects/loading.ts";
import { matmulSubject } from "./subjects/matmul.ts";
import { memorySubject } from "./subjects/memory.ts";
import { mlpSubject } from "./subjects/mlp.ts";
import { decodeSubject, prefillSubject } from "./subjects/model.ts";
import { rowsSubject } from "./subjects/rows.ts";

const SUBJECTS: readonly Subject[] = [
  dispatchSubject,
  matmulSubject,
  rowsSubject,
  attentionSubject,
  mlpSubject,
  decodeSubject,
  prefillSubject,
  loadingSubject,
  firstCallSubject,
  memorySubject,
  flatSubject,
];

interface Flags {
  only?: string;
  quick?: boolean;
  json?: boolean;
  peers: boolean;
  save?: boolean;
}

const program = new Command("bench")
  .description("Time kernels and models against hand-written WebGPU and other libraries.")
  .option("--only <pattern>", `subjects whose name has this in it: ${SUBJECTS.map((s) => s.name).join(", ")}`)
  .option("--quick", "few cases, short runs")
  .option("--json", "print one JSON object on stdout")
  .option("--no-peers", "leave the other libraries out, which are fetched when they first run")
  .option("--save", "write each subject into bench/RESULTS.md as it is done")
  .action(bench);
await program.parseAsync(Deno.args, { from: "user" });
Deno.exit(Deno.exitCode);

async function bench(flags: Flags): Promise<void> {
  const chosen = SUBJECTS.filter((s) => s.name.includes(flags.only ?? ""));
  if (chosen.length === 0) program.error(`no subject has ${JSON.stringify(flags.only)} in its name`);
  const effort: Effort = {
    rounds: flags.quick ? 3 : 7,
    train: flags.quick ? 60 : 150,
    quick: flags.quick ?? false,
    peers: flags.peers,
  };
  const machine = await describeMachine();
  const head = Object.entries(machine).map(([k, v]) => `${k} ${v}`).join(" · ");
  if (!flags.json) console.log(`${head}\n`);
  const reports: [Subject, Report][] = [];
  for (const subject of chosen) {
    const report = await subject.run(effort, (line) => console.error(`… ${line}`));
    reports.push([subject, report]);
    if (!flags.json) console.log(render(subject, report));
    if (flags.save) await save(subject, report, head, effort);
  }
  if (flags.json) {
    console.log(
      JSON.stringify({ machine, subjects: Object.fromEntries(reports.map(([s, r]) => [s.name, r])) }),
    );
  }
}

async function describeMachine(): Promise<Record<string, string>> {
  const info = (await navigator.gpu?.requestAdapter())?.info;
  return {
    date: new Date().toISOString().slice(0, 10),
    adapter: info?.description || info?.vendor || "none",
    cores: String(navigator.hardwareConcurrency),
    system: `${Deno.build.os} ${Deno.build.arch}`,
    deno: Deno.version.deno,
  };
}

/** Replaces a subject's section of the file. Each says when and how it was measured: not all are of one run. */
async function save(
  subject: Subject,
  report: Report,
  head: string,
  { quick, rounds }: Effort,
): Promise<void> {
  const file = fromFileUrl(new URL("RESULTS.md", import.meta.url));
  const old = await Deno.readTextFile(file).catch(() => "");
  const sections = new Map(
    old.split(/^(?=## )/m).slice(1).map((section) => [section.match(/^## (\S+)/)![1], section.trim()]),
  );
  const how = `${head} · ${rounds} rounds${quick ? ", few cases (`--quick`)" : ""}`;
  sections.set(subject.name, `${render(subject, report).trim()}\n\n<sub>${how}</sub>`);
  const text = [
    "# Results of the bench",
    "Written by `./dev bench --save`; [docs/performance.md](../docs/performance.md) says how to read it.",
    ...SUBJECTS.flatMap((s) => sections.get(s.name) ?? []),
  ].join("\n\n");
  await Deno.writeTextFile(file, `${text}\n`);
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", file] }).output(); // as the check wants it
  console.error(`… wrote ${subject.name} into ${file}`);
}
