/**
 * The command line: `kernelwright run`, `demo`, `embed`, `inspect`, and the author's tools.
 *
 * @module
 */
import { Command } from "commander";
import { KernelwrightError, renderDiagnostic } from "../errors.ts";
import { variable } from "../host/mod.ts";
import { registerBundle } from "./bundle.ts";
import { registerDemo } from "./demo.ts";
import { registerEmbed } from "./embed.ts";
import { registerInspect } from "./inspect.ts";
import { registerNewKernel } from "./new_kernel/new_kernel.ts";
import { registerRegistry } from "./registry.ts";
import { registerReport } from "./report.ts";
import { registerRun } from "./run.ts";
import { registerInfo } from "./info.ts";
import { guarded, type Terminal } from "./terminal.ts";

/** Runs the command line. Returns the exit code: 0, or 1 when an error was printed. */
export async function main(args: readonly string[]): Promise<number> {
  const program = new Command("kernelwright").description(
    "Write GPU kernels as packages, and put them into real models.",
  );
  // Before the commands: they take it over as they are made.
  program.configureOutput({
    writeOut: (text) => console.log(text.trimEnd()),
    writeErr: (text) => console.error(text.trimEnd()),
  });
  registerRun(program);
  registerDemo(program);
  registerEmbed(program);
  registerInspect(program);
  registerReport(program);
  registerNewKernel(program);
  registerBundle(program);
  registerRegistry(program);
  registerInfo(program);
  return await guarded(async (terminal) => {
    try {
      await program.parseAsync([...args], { from: "user" });
      return 0;
    } catch (error) {
      printError(error, terminal);
      return 1;
    }
  });
}

function printError(error: unknown, terminal: Terminal): void {
  if (error instanceof KernelwrightError) {
    const fix = error.diagnostic.fix?.replace("pass { allowLinks: true }", "give --allow-links");
    const diagnostic = { ...error.diagnostic, fix };
    terminal.painted(`✘ ${renderDiagnostic(diagnostic, Deno.stderr.isTerminal() && !Deno.noColor)}`);
  } else console.error(error);
}

if (import.meta.main) {
  // ./dev runs tasks in the repository's root; paths that the user gave are relative to where they stood.
  const from = variable("KERNELWRIGHT_CWD");
  if (from) {
    Deno.chdir(from);
    Deno.env.delete("KERNELWRIGHT_CWD");
  }
  Deno.exit(await main(Deno.args));
}
