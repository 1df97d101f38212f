/**
 * Changes the code that security and proofs rest on, one small thing at a time, and runs the tests that are to catch it.
 * What no test catches is printed, then the score. In copies of the tree: the tree itself is not touched.
 *
 *     ./dev mutate                       everything in tools/mutation_targets.ts: hours
 *     ./dev mutate --only registry/trust files whose path contains this
 *     ./dev mutate --sample 50           so many changes, spread evenly
 *     ./dev mutate --jobs 4              so many at once; defaults to 2
 *     ./dev mutate --list                the changes, and none of them made
 *
 * @module
 */
import { dirname, fromFileUrl, join, relative } from "@std/path";
import { TARGETS } from "./mutation_targets.ts";
import { describeMutation, mutate, type Mutation, mutationsOf } from "./mutations.ts";
import { walk } from "./walk.ts";

const root = fromFileUrl(new URL("..", import.meta.url));

/** How long the tests of a change may take, in milliseconds: one that hangs is caught. */
const PATIENCE = 300_000;

interface Job {
  readonly file: string;
  readonly source: string;
  readonly tests: readonly string[];
  readonly mutation: Mutation;
}

interface Options {
  readonly only: string;
  readonly sample: number;
  readonly jobs: number;
  readonly list: boolean;
}

if (import.meta.main) Deno.exitCode = await main(readOptions(Deno.args));

async function main({ only, sample, jobs: atOnce, list }: Options): Promise<number> {
  const targets = TARGETS.filter((t) => t.file.includes(only));
  const all = targets.flatMap(({ file, tests }): Job[] => {
    const source = Deno.readTextFileSync(join(root, file));
    return mutationsOf(source).map((mutation) => ({ file, source, tests, mutation }));
  });
  const jobs = spread(all, sample);
  if (list || jobs.length === 0) {
    for (const job of jobs) console.log(`${job.file}:${describeMutation(job.source, job.mutation)}`);
    console.log(`${jobs.length} changes in ${targets.length} files`);
    return jobs.length === 0 ? 1 : 0;
  }
  const copies = await Promise.all(Array.from({ length: Math.min(atOnce, jobs.length) }, copyTree));
  try {
    for (const tests of new Set(targets.map((t) => t.tests.join(" ")))) {
      if (await outcome(copies[0], tests.split(" ")) !== "survived") {
        console.log(`the tests fail as they are: ${tests}`);
        return 1;
      }
    }
    const counts = { caught: 0, survived: 0, unreadable: 0 };
    const next = jobs.values();
    await Promise.all(copies.map(async (copy) => {
      for (const { file, source, tests, mutation } of next) {
        Deno.writeTextFileSync(join(copy, file), mutate(source, mutation));
        const found = await outcome(copy, tests);
        Deno.writeTextFileSync(join(copy, file), source);
        counts[found]++;
        if (found === "survived") console.log(`survived  ${file}:${describeMutation(source, mutation)}`);
      }
    }));
    const made = counts.caught + counts.survived;
    const score = (100 * counts.caught / Math.max(1, made)).toFixed(1);
    console.log(
      `${counts.caught} of ${made} changes were caught: ${score} %; ${counts.unreadable} were no code`,
    );
    return 0;
  } finally {
    for (const copy of copies) Deno.removeSync(dirname(copy), { recursive: true });
  }
}

/** What the tests say. One that does not end is caught. */
async function outcome(
  copy: string,
  tests: readonly string[],
): Promise<"caught" | "survived" | "unreadable"> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", "--fail-fast", "--quiet", ...tests],
    cwd: copy,
    stdout: "null",
    stderr: "piped",
    signal: AbortSignal.timeout(PATIENCE),
  }).output();
  if (success) return "survived";
  return new TextDecoder().decode(stderr).includes("could not be parsed") ? "unreadable" : "caught";
}

/** A copy of what the tests need, with `shared` beside it where the tree has it there. */
async function copyTree(): Promise<string> {
  const copy = join(await Deno.makeTempDir({ prefix: "kernelwright-mutate-" }), "tree");
  for (const file of walk(root, () => true)) {
    const to = join(copy, relative(root, file));
    await Deno.mkdir(dirname(to), { recursive: true });
    await Deno.copyFile(file, to);
  }
  const shared = join(root, "..", "shared");
  if (await Deno.stat(shared).then(() => true, () => false)) {
    await Deno.symlink(shared, join(copy, "..", "shared"));
  }
  return copy;
}

/** So many of a list, evenly. */
function spread<T>(all: readonly T[], count: number): T[] {
  if (count >= all.length) return [...all];
  return Array.from({ length: count }, (_, i) => all[Math.floor((i + 0.5) * all.length / count)]);
}

function readOptions(args: readonly string[]): Options {
  const value = (name: string) => {
    const at = args.findIndex((a) => a === name || a.startsWith(`${name}=`));
    return at < 0 ? undefined : args[at].includes("=") ? args[at].split("=")[1] : args[at + 1];
  };
  const count = (name: string, otherwise: number) => {
    const n = Number(value(name) ?? otherwise);
    if (!(n >= 1)) throw new Error(`${name} takes a whole number of at least 1`);
    return n;
  };
  return {
    only: value("--only") ?? "",
    sample: count("--sample", Infinity),
    jobs: count("--jobs", 2),
    list: args.includes("--list"),
  };
}
