import { cancel, select, text } from "@clack/prompts";
import type { Command } from "commander";
import { relative, resolve } from "@std/path";
import { raise } from "../errors.ts";
import type { KernelPlanText } from "./kernel_source.ts";
import { LICENSES } from "./license.ts";
import { classFacts } from "./module_facts.ts";
import { scaffold } from "./scaffold.ts";
import { type Stage, stageOf, STAGES } from "./stages.ts";

/** What `new-kernel` takes on the command line. */
export interface NewKernelOptions {
  /** One module. */
  replaces?: string;
  /** Several, separated by commas. */
  fuses?: string;
  /** Whether the several are fed the same input. */
  parallel?: boolean;
  /** Whether only forward is swapped. */
  function?: boolean;
  /** The folder; the name in kebab case unless told. */
  dir?: string;
  /** The package's scope. */
  scope?: string;
  /** The license. */
  license?: string;
  /** Asks nothing. */
  yes?: boolean;
}

/** Adds the command `new-kernel`. */
export function registerNewKernel(program: Command): void {
  program.command("new-kernel").description("start a kernel package, with test, bench and README")
    .argument("[NAME]", "the kernel's class, e.g. FastNorm")
    .option("--replaces <MODULE>", "the module that it takes the place of, e.g. RMSNorm")
    .option("--fuses <MODULES>", "the modules that it fuses, e.g. RMSNorm,LlamaMLP")
    .option("--parallel", "the fused modules are fed the same input")
    .option("--function", "swap forward only: no layout, no parameters of its own")
    .option("--dir <FOLDER>", "where to write it; unless told, the name in small letters")
    .option("--scope <SCOPE>", "the scope of the package's name", "@me")
    .option("--license <LICENSE>", LICENSES.join(", "), "MIT")
    .option("--yes", "ask nothing")
    .action(async (name: string | undefined, options: NewKernelOptions) => {
      const folder = await newKernel(name, options);
      const shown = relative(Deno.cwd(), folder) || ".";
      console.log(`${shown} is ready. Next: cd ${shown} && deno task check && deno task test`);
    });
}

/**
 * Writes a kernel package.
 *
 * @returns Its folder.
 * @throws KW-NEW-ARGUMENT, KW-NEW-NAME, KW-NEW-EXISTS, KW-NEW-MODULE, KW-CLI-DENO; then nothing was written.
 */
export async function newKernel(name: string | undefined, options: NewKernelOptions): Promise<string> {
  const asked = await askForMissing(name, options);
  checkName(asked.name);
  const plan = await planOf(asked.name, asked.options);
  const { scope = "@me", license = "MIT" } = options;
  if (!/^@[a-z0-9][a-z0-9-]*$/.test(scope)) {
    raise("KW-NEW-NAME", `Cannot use the scope ${JSON.stringify(scope)}`, "Write @ and small letters: @you.");
  }
  if (!(LICENSES as readonly string[]).includes(license)) {
    raise("KW-NEW-ARGUMENT", `Unknown license ${JSON.stringify(license)}`, `Known: ${LICENSES.join(", ")}.`);
  }
  const small = kebab(asked.name);
  const folder = resolve(options.dir ?? small);
  await scaffold({ plan, folder, packageName: `${scope}/${small}`, license });
  return folder;
}

// ---------------------------------------------------------------------------

async function askForMissing(
  name: string | undefined,
  options: NewKernelOptions,
): Promise<{ name: string; options: NewKernelOptions }> {
  const known = options.replaces ?? options.fuses ?? (options.function ? "SiluAndMul" : undefined);
  const quiet = options.yes || !Deno.stdin.isTerminal();
  if (quiet || (name && known)) {
    if (!name || !known) {
      raise(
        "KW-NEW-ARGUMENT",
        name ? "new-kernel was not told what to replace" : "new-kernel was not told a name",
        "new-kernel FastNorm --replaces RMSNorm, or new-kernel NormMLP --fuses RMSNorm,LlamaMLP.",
      );
    }
    return { name, options: options.fuses ? options : { ...options, replaces: known } };
  }
  const given = name ??
    answer(await text({ message: "What is the kernel called?", placeholder: "FastNorm" }));
  if (known) return { name: given, options: options.fuses ? options : { ...options, replaces: known } };
  const how = answer(
    await select({
      message: "What does it do?",
      options: [
        { value: "replaces", label: "replace one module" },
        { value: "fuses", label: "fuse a chain of modules" },
        { value: "parallel", label: "fuse modules that are fed the same input" },
        { value: "function", label: "replace only a module's forward" },
      ],
    }),
  );
  const names = STAGES.map((s) => s.module).join(", ");
  const modules = answer(await text({ message: `Which? (${names})`, placeholder: "RMSNorm" }));
  return {
    name: given,
    options: {
      ...options,
      ...(how === "fuses" || how === "parallel" ? { fuses: modules } : { replaces: modules }),
      parallel: how === "parallel",
      function: how === "function",
    },
  };
}

/** What was answered; stops where the question was cancelled. */
function answer(value: unknown): string {
  if (typeof value === "string") return value;
  cancel("Nothing was written.");
  return raise("KW-NEW-ARGUMENT", "new-kernel was stopped");
}

function checkName(name: string): void {
  if (/^[A-Z][A-Za-z0-9]*$/.test(name) && name.length <= 60) return;
  raise(
    "KW-NEW-NAME",
    `Cannot call a kernel ${JSON.stringify(name)}`,
    "It is a class: begin with a capital letter, and use letters and digits: FastNorm.",
  );
}

async function planOf(name: string, options: NewKernelOptions): Promise<KernelPlanText> {
  const { replaces, fuses, parallel = false } = options;
  if (replaces && fuses) {
    raise("KW-NEW-ARGUMENT", "--replaces and --fuses were both given", "Give one of them.");
  }
  const stages = (fuses ?? replaces)!.split(",").map((m) => stageOf(m.trim()));
  if (fuses ? stages.length < 2 : stages.length > 1) {
    raise(
      "KW-NEW-ARGUMENT",
      fuses ? "--fuses takes two modules or more" : "--replaces takes one module",
      fuses ? "Use --replaces for one module." : "Use --fuses for several.",
    );
  }
  if (fuses && options.function) {
    raise("KW-NEW-ARGUMENT", "--function swaps one module's forward, and --fuses names several");
  }
  if (parallel && !fuses) {
    raise("KW-NEW-ARGUMENT", "--parallel needs --fuses", "--fuses Linear,Linear --parallel.");
  }
  const taken = stages.map((s) => s.module).filter((m) => m === name);
  if (taken.length > 0) {
    raise("KW-NEW-NAME", `"${name}" is the name of the module itself`, "Call it otherwise.");
  }
  const facts = await classFacts([new URL("../nn/mod.ts", import.meta.url).href]);
  const parameters = stages.map((s) => [...s.sample().namedParameters()].map(([path]) => path));
  // A second input could not come out of the part before.
  const odd = stages.findIndex((s, i) =>
    i > 0 && !parallel && facts.get(s.module)!.forwardParameters.length > 1
  );
  if (odd > 0) {
    raise("KW-NEW-MODULE", `${stages[odd].module} takes two inputs, so nothing can feed it`, "Put it first.");
  }
  return {
    name,
    kind: !fuses ? "replaces" : parallel ? "fusesParallel" : "fuses",
    // Without parameters there is nothing to lay out.
    forwardOnly: !fuses && (options.function === true || parameters[0].length === 0),
    parts: stages.map((stage, i) => ({ name: partName(stages, i), stage, parameters: parameters[i] })),
    facts: facts.get(stages[0].module)!,
  };
}

function partName(stages: readonly Stage[], i: number): string {
  const { part } = stages[i];
  const same = stages.filter((s) => s.part === part).length > 1;
  return same ? `${part}${stages.slice(0, i + 1).filter((s) => s.part === part).length}` : part;
}

function kebab(name: string): string {
  return name.replaceAll(/([a-z0-9])([A-Z])/g, "$1-$2").replaceAll(/([A-Z]+)([A-Z][a-z])/g, "$1-$2")
    .toLowerCase();
}
