/**
 * Tokens per second of an earlier commit against those of this tree: greedy generation of 200 tokens by the stories
 * model, each run in a process of its own, in turn.
 *
 *   deno run -A bench/since.ts [COMMIT] [--rounds 5]
 *
 * The commit is checked out into a temporary worktree. Its default, 98fdfd6, is the last one before eager execution
 * was made faster: the project promises that captured generation has at least three times its rate.
 */
import { fromFileUrl } from "@std/path";
import { Command } from "commander";
import { drawTable } from "../sdk/kernelize/mod.ts";
import { storiesModel } from "./llama.ts";

const TOKENS = 200;
const HERE = fromFileUrl(new URL("..", import.meta.url));
const WAYS = ["then", "eager", "captured", "kernels captured"];

/** Run in either tree: generates a few times and prints the tokens per second of the best. */
const PROGRAM = `
const [root, way, dir] = Deno.args;
const { openGpu } = await import(root + "sdk/gpu/mod.ts");
const { generate, loadCausalLM } = await import(root + "sdk/models/mod.ts");
await openGpu();
const kernels = way.includes("kernels") ? { kernels: decodeURIComponent(new URL(root + "kernels.json").pathname) } : {};
const model = await loadCausalLM(dir, kernels);
const run = (n) => generate(model, [[1]], { maxNewTokens: n, eosTokenIds: [], capture: way.includes("captured") });
await run(20);
let best = 0;
for (let i = 0; i < 3; i++) {
  const from = performance.now();
  const { ids } = await run(${TOKENS});
  if (ids[0].length !== ${TOKENS}) throw new Error("stopped early");
  best = Math.max(best, ${TOKENS} * 1000 / (performance.now() - from));
}
console.log(best);
Deno.exit();
`;

await new Command("since")
  .argument("[commit]", "what to compare with", "98fdfd6")
  .option("--rounds <n>", "how often each is run", Number, 5)
  .action(async (commit: string, { rounds }: { rounds: number }) => {
    const dir = await storiesModel();
    if (!dir) throw new Error("The stories model is absent (../shared/models/stories260k).");
    const then = await Deno.makeTempDir({ prefix: "kernelwright-since-" });
    await git("worktree", "add", "--detach", then, commit);
    try {
      const rates: number[][] = WAYS.map(() => []);
      for (let round = 0; round < rounds; round++) {
        for (const [i, way] of WAYS.entries()) {
          rates[i].push(await rate(way === "then" ? `${then}/` : HERE, way, dir));
        }
        console.error(`… round ${round + 1} of ${rounds}`);
      }
      const rows = WAYS.map((way, i) => {
        const ratios = rates[i].map((r, round) => r / rates[0][round]);
        return [
          way === "then" ? `eager at ${commit}` : way,
          median(rates[i]).toFixed(0),
          `${median(ratios).toFixed(2)}× (${Math.min(...ratios).toFixed(2)}–${
            Math.max(...ratios).toFixed(2)
          })`,
        ];
      });
      console.log(drawTable([["", "tokens/s", "against then"], ...rows]));
    } finally {
      await git("worktree", "remove", "--force", then);
    }
  })
  .parseAsync(Deno.args, { from: "user" });

async function rate(root: string, way: string, dir: string): Promise<number> {
  const file = await Deno.makeTempFile({ suffix: ".js" });
  await Deno.writeTextFile(file, PROGRAM);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", `${root}deno.json`, file, `file://${root}`, way, dir],
    stdout: "piped",
    stderr: "piped",
  }).output();
  await Deno.remove(file);
  const said = new TextDecoder().decode(stdout);
  if (!success) throw new Error(`${way} ended: ${new TextDecoder().decode(stderr)}`);
  return Number(said);
}

async function git(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("git", { args: ["-C", HERE, ...args] }).output();
  if (!success) throw new Error(`git ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}
