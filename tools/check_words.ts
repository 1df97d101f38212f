/**
 * Holds texts to the word list in CONTRIBUTING.md: comments, messages and pages say it in the usual words.
 *
 *     deno run -A tools/check_words.ts [folder]
 *
 * @module
 */
import { fromFileUrl, join, relative } from "@std/path";
import { walk } from "./walk.ts";

const FOLDERS = ["sdk", "docs", "examples", "templates", "tools", "bench", "tests", ".github"];

/** The list itself, and the test that has words to find. */
const EXEMPT = ["CONTRIBUTING.md", join("tests", "tools", "check_words_test.ts")];

/** Every unusual wording below `root`, each as `file:line: what to write in its place`. */
export function checkWords(root: string): string[] {
  const words = readList(Deno.readTextFileSync(join(root, "CONTRIBUTING.md")));
  const pages = [...Deno.readDirSync(root)].filter((e) => e.isFile && /\.(md|ts)$/.test(e.name));
  const files = [
    ...pages.map((e) => join(root, e.name)),
    ...FOLDERS.flatMap((folder) => walk(join(root, folder), (path) => /\.(ts|md|wgsl|yml)$/.test(path))),
  ].filter((path) => !EXEMPT.includes(relative(root, path)));
  return files.flatMap((file) => {
    const text = Deno.readTextFileSync(file);
    return words.flatMap(({ pattern, instead }) =>
      [...text.matchAll(pattern)].map((m) => ({ ...m, instead }))
    )
      .sort((a, b) => a.index - b.index)
      .map(({ 0: found, index, instead }) => {
        const line = text.slice(0, index).split("\n").length;
        return `${relative(root, file)}:${line}: "${found.split(GAP).join(" ")}": write ${instead}`;
      });
  });
}

// ---------------------------------------------------------------------------

/** What is between two words: also a new line, with the star or the slashes of a comment. */
const GAP = /\s+(?:(?:\*|\/\/+)\s+)?/;

interface Wording {
  readonly pattern: RegExp;
  readonly instead: string;
}

/** The rows of the table whose first column is an expression in backticks. */
function readList(page: string): Wording[] {
  return [...page.matchAll(/^\| `([^`]+)` +\| ([^|]+?) +\|$/gm)].map(([, pattern, instead]) => ({
    pattern: new RegExp(pattern.replaceAll("\\|", "|").replaceAll(" ", GAP.source), "gi"),
    instead,
  }));
}

if (import.meta.main) {
  const found = checkWords(Deno.args[0] ?? fromFileUrl(new URL("..", import.meta.url)));
  for (const line of found) console.error(line);
  if (found.length > 0) Deno.exitCode = 1;
}
