/**
 * The gate: everything that must hold of the tree without running it. A line per step; all steps run, so that
 * one call tells all there is to fix.
 *
 * @module
 */
import { fromFileUrl, join } from "@std/path";
import { walk } from "./walk.ts";

const root = fromFileUrl(new URL("..", import.meta.url));

/** Where TypeScript lies. tests/types/mistakes is left out: its files must not compile. */
const FOLDERS = ["sdk", "tests", "examples", "templates", "bench", "tools"];
const MISTAKES = join(root, "tests", "types", "mistakes");

const config: { exports: Record<string, string> } = JSON.parse(
  Deno.readTextFileSync(join(root, "deno.json")),
);

const sources = [
  ...walkTop(),
  ...FOLDERS.flatMap((folder) => walk(join(root, folder), isSource)),
];

/** Name and arguments for `deno`, in the order of the run. */
const STEPS: [name: string, args: string[]][] = [
  ["format", ["fmt", "--check"]],
  ["lint", ["lint"]],
  ["types", ["check", ...sources]],
  ["publish", ["publish", "--dry-run", "--allow-dirty"]],
  ["docs", ["doc", "--lint", ...Object.values(config.exports)]],
  ["rooms", ["run", "-A", "tools/check_rooms.ts"]],
  ["links", ["run", "-A", "tools/check_markdown_links.ts"]],
  ["words", ["run", "-A", "tools/check_words.ts"]],
];

const failed: string[] = [];
for (const [name, args] of STEPS) {
  const start = performance.now();
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: root }).output();
  const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(5);
  console.log(`${success ? "ok    " : "FAILED"} ${name.padEnd(8)} ${seconds} s`);
  if (success) continue;
  failed.push(name);
  const decoder = new TextDecoder();
  // Deno closes its errors with a stack of its own; it says nothing about our files.
  const output = decoder.decode(stdout) + decoder.decode(stderr);
  console.log(output.replaceAll(/\n*Stack backtrace:\n(\s+\d+: .*\n?)*/g, "\n").trimEnd());
}
console.log(failed.length === 0 ? "check: all hold" : `check: ${failed.length} failed: ${failed.join(", ")}`);
Deno.exitCode = failed.length === 0 ? 0 : 1;

function isSource(path: string): boolean {
  return /\.[mc]?tsx?$/.test(path) && !path.startsWith(MISTAKES);
}

/** The files beside deno.json, as mod.ts. */
function walkTop(): string[] {
  return [...Deno.readDirSync(root)].filter((entry) => entry.isFile && isSource(entry.name))
    .map((entry) => join(root, entry.name));
}
