/**
 * Runs the tests, one process per file, and closes with `N passed, N failed[, N skipped]`.
 *
 * A process per file costs about 0.1 s, and buys three things: a driver that aborts at exit names its file
 * and takes no other counts with it, a file's GPU memory is gone when the file is, and counts are exact.
 *
 *     ./dev test                      everything in tests/ and examples/
 *     ./dev test tests/gpu a_test.ts  these folders and files
 *     ./dev test --filter matmul      options go to `deno test`; write their values as --option=value
 *
 * @module
 */
import { fromFileUrl, join, relative, resolve } from "@std/path";
import { closingLine, type Counts, countTests, sumCounts } from "./count_tests.ts";
import { walk } from "./walk.ts";

/** Files at once. The software driver uses every core itself, so more than two only wait for each other. */
const AT_ONCE = 2;

/** What is run where no path is given. */
const FOLDERS = ["tests", "examples"];

/** The same names as `deno test` looks for. */
const TEST_FILE = /(^|[\\/])([^\\/]+[._])?test\.[mc]?[jt]sx?$/;

/** One `deno test` and how it ended. */
interface Outcome {
  counts: Counts;
  /** What to tell besides the output: a crash, an error outside of any test. */
  problem?: string;
}

/** Runs what the arguments ask for; the result is the exit code. */
export async function runTests(args: string[], root: string, cwd: string): Promise<number> {
  const { options, paths } = readArgs(args);
  const reports = Deno.makeTempDirSync({ prefix: "kernelwright-tests-" });
  try {
    const files = findFiles(paths, root, cwd);
    // Types are the business of `./dev check`, which knows them for all files at once.
    const jobs = files.map((file) => ({ label: relative(root, file), args: ["--no-check", file] }));

    const outcomes: Outcome[] = [];
    const next = jobs.entries();
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (const [i, job] of next) {
        const report = join(reports, `${i}.xml`);
        outcomes[i] = await runOne(job, [...options, `--junit-path=${report}`], root, jobs.length === 1);
      }
    }));
    return close(outcomes);
  } finally {
    Deno.removeSync(reports, { recursive: true });
  }
}

// ---------------------------------------------------------------------------------------------------------

function readArgs(args: string[]): { options: string[]; paths: string[] } {
  const [options, paths]: [string[], string[]] = [[], []];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg === "--filter") options.push(`--filter=${args[++i] ?? ""}`);
    else if (arg.startsWith("-")) options.push(arg);
    else paths.push(arg);
  }
  return { options, paths };
}

function findFiles(paths: string[], root: string, cwd: string): string[] {
  const starts = paths.length > 0
    ? paths.map((path) => resolve(cwd, path))
    : FOLDERS.map((folder) => join(root, folder));
  const files = starts.flatMap((start) => {
    if (paths.length > 0 && Deno.statSync(start).isFile) return [start];
    return walk(start, (path) => TEST_FILE.test(path));
  });
  return [...new Set(files)];
}

async function runOne(
  job: { label: string; args: string[] },
  options: string[],
  root: string,
  alone: boolean,
): Promise<Outcome> {
  const report = options.at(-1)!.slice("--junit-path=".length);
  const command = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", ...options, ...job.args],
    cwd: root,
    env: Deno.stdout.isTerminal() && !Deno.noColor ? { FORCE_COLOR: "1" } : {},
    // One file streams, so that it can be watched; of two at once the output would mix.
    stdout: alone ? "inherit" : "piped",
    stderr: alone ? "inherit" : "piped",
  });
  const process = command.spawn();
  const [status, stdout, stderr] = await Promise.all([
    process.status,
    alone ? undefined : new Response(process.stdout).bytes(),
    alone ? undefined : new Response(process.stderr).bytes(),
  ]);
  if (stdout) await write(Deno.stdout, stdout);
  if (stderr) await write(Deno.stderr, stderr);

  const counts = countTests(readIfThere(report));
  let problem: string | undefined;
  if (status.signal) problem = `${job.label}: the process was ended by ${status.signal}`;
  else if (!status.success && counts.failed === 0) {
    problem = `${job.label}: failed outside of any test (exit code ${status.code})`;
  }
  // Not a case of the report, and a failure all the same.
  if (problem) counts.failed++;
  return { counts, problem };
}

function close(outcomes: Outcome[]): number {
  const counts = sumCounts(outcomes.map((outcome) => outcome.counts));
  const executed = counts.passed + counts.failed;
  console.log("");
  for (const { problem } of outcomes) if (problem) console.log(problem);
  if (executed === 0) console.log("No test was executed.");
  console.log(closingLine(counts));
  return counts.failed > 0 || executed === 0 ? 1 : 0;
}

function readIfThere(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return ""; // it crashed before writing
  }
}

async function write(to: { write(bytes: Uint8Array): Promise<number> }, bytes: Uint8Array): Promise<void> {
  while (bytes.length > 0) bytes = bytes.subarray(await to.write(bytes));
}

if (import.meta.main) {
  const cwd = Deno.env.get("KERNELWRIGHT_CWD") ?? Deno.cwd();
  Deno.env.delete("KERNELWRIGHT_CWD"); // what a test starts is not meant to go where we were called
  try {
    Deno.exitCode = await runTests(Deno.args, fromFileUrl(new URL("..", import.meta.url)), cwd);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.error(error.message);
    Deno.exitCode = 1;
  }
}
