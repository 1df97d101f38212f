import type { Command } from "commander";
import { relative, resolve } from "@std/path";
import { raise } from "../../errors.ts";
import { askLicense, askModule, askModules, askName, askRole, askScope, type Terminal } from "../ask.ts";
import type { KernelPlanText } from "./kernel_source.ts";
import { LICENSES } from "./license.ts";
import { classFacts } from "./module_facts.ts";
import { scaffold } from "./scaffold.ts";
import { type Stage, stageOf } from "./stages.ts";

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
  /** The folder; defaults to the name in kebab case. */
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
    .option("--dir <FOLDER>", "where to write it; defaults to the name in small letters")
    .option("--scope <SCOPE>", "the scope of the package's name; defaults to @me")
    .option("--license <LICENSE>", `${LICENSES.join(", ")}; defaults to MIT`)
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
 * @param terminal Where to ask for what is missing; defaults to the process's own terminal, if it has one.
 * @returns Its folder.
 * @throws KW-NEW-ARGUMENT, KW-NEW-NAME, KW-NEW-EXISTS, KW-NEW-MODULE, KW-CLI-DENO; then nothing was written.
 */
export async function newKernel(
  name: string | undefined,
  options: NewKernelOptions,
  terminal?: Terminal,
): Promise<string> {
  checkGiven(name, options);
  const asked = await askForMissing(name, options, terminal);
  const plan = await planOf(asked.name, asked.options);
  const { scope = "@me", license = "MIT" } = asked.options;
  const small = kebab(asked.name);
  const folder = resolve(options.dir ?? small);
  await scaffold({ plan, folder, packageName: `${scope}/${small}`, license });
  return folder;
}

// ---------------------------------------------------------------------------

/** What was given is checked before anything is asked: nobody is to answer questions in vain. */
function checkGiven(name: string | undefined, options: NewKernelOptions): void {
  const { replaces, fuses, scope, license, dir } = options;
  if (name) checkName(name);
  if (scope !== undefined) checkScope(scope);
  if (license !== undefined && !(LICENSES as readonly string[]).includes(license)) {
    raise("KW-NEW-ARGUMENT", `Unknown license ${JSON.stringify(license)}`, `Known: ${LICENSES.join(", ")}.`);
  }
  if (replaces || fuses) stagesOf(options);
  if (dir || name) checkFree(dir ?? kebab(name!));
}

async function askForMissing(
  name: string | undefined,
  options: NewKernelOptions,
  terminal: Terminal | undefined,
): Promise<{ name: string; options: NewKernelOptions }> {
  const known = options.replaces ?? options.fuses ?? (options.function ? "SiluAndMul" : undefined);
  const quiet = options.yes || !(terminal || Deno.stdin.isTerminal());
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
  const given = name ?? await askName((text) => {
    checkName(text);
    if (!options.dir) checkFree(kebab(text));
  }, terminal);
  const role = known ? undefined : options.parallel ? "parallel" : await askRole(terminal);
  const several = role === "fuses" || role === "parallel";
  const modules = known ??
    (several
      ? await askModules(role, (text) => stagesOf({ fuses: text }), terminal)
      : await askModule(terminal));
  return {
    name: given,
    options: {
      ...options,
      ...(options.fuses || several ? { fuses: modules } : { replaces: modules }),
      parallel: role === "parallel" || options.parallel,
      function: role === "function" || options.function,
      scope: options.scope ?? await askScope(checkScope, terminal),
      license: options.license ?? await askLicense(terminal),
    },
  };
}

function checkScope(scope: string): void {
  if (/^@[a-z0-9][a-z0-9-]*$/.test(scope)) return;
  raise("KW-NEW-NAME", `Cannot use the scope ${JSON.stringify(scope)}`, "Write @ and small letters: @you.");
}

/** The folder is looked at again when it is written. */
function checkFree(dir: string): void {
  try {
    Deno.lstatSync(resolve(dir));
  } catch {
    return;
  }
  raise("KW-NEW-EXISTS", `There is a folder ${dir} already`, "Choose another name, or give --dir.", {
    file: resolve(dir),
  });
}

function checkName(name: string): void {
  if (/^[A-Z][A-Za-z0-9]*$/.test(name) && name.length <= 60) return;
  raise(
    "KW-NEW-NAME",
    `Cannot call a kernel ${JSON.stringify(name)}`,
    "It is a class: begin with a capital letter, and use letters and digits: FastNorm.",
  );
}

/** The stages that are named, as many as there should be, with flags that go together. */
function stagesOf({ replaces, fuses, parallel, function: forwardOnly }: NewKernelOptions): Stage[] {
  if (replaces && fuses) {
    raise("KW-NEW-ARGUMENT", "--replaces and --fuses were both given", "Give one of them.");
  }
  if (fuses && forwardOnly) {
    raise(
      "KW-NEW-ARGUMENT",
      "--function swaps one module's forward, and --fuses names several",
      "Leave --function out, or name one module with --replaces.",
    );
  }
  if (parallel && !fuses) {
    raise("KW-NEW-ARGUMENT", "--parallel needs --fuses", "--fuses Linear,Linear --parallel.");
  }
  const stages = (fuses ?? replaces)!.split(",").map((m) => stageOf(m.trim()));
  if (fuses ? stages.length < 2 : stages.length > 1) {
    raise(
      "KW-NEW-ARGUMENT",
      fuses ? "A fusion takes two modules or more" : "--replaces takes one module",
      fuses
        ? "Separate them by commas; one module is replaced, with --replaces."
        : "Use --fuses for several.",
    );
  }
  return stages;
}

async function planOf(name: string, options: NewKernelOptions): Promise<KernelPlanText> {
  const { fuses, parallel = false } = options;
  const stages = stagesOf(options);
  const taken = stages.map((s) => s.module).filter((m) => m === name);
  if (taken.length > 0) {
    raise("KW-NEW-NAME", `"${name}" is the name of the module itself`, "Call it otherwise.");
  }
  const facts = await classFacts([new URL("../../nn/mod.ts", import.meta.url).href]);
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
