/** Whether the files and headings that our Markdown links to are there. @module */
import { dirname, fromFileUrl, join, relative } from "@std/path";
import { walk } from "./walk.ts";

/** Every relative link below `root` that leads nowhere, as `file:line: link`. */
export function checkMarkdownLinks(root: string): string[] {
  return walk(root, (path) => path.endsWith(".md")).flatMap((file) => {
    // Code is not prose: what looks like a link in it is none.
    const text = Deno.readTextFileSync(file)
      .replaceAll(/^(```|~~~)[^]*?^\1|`[^`\n]*`/gm, (code) => code.replaceAll(/[^\n]/g, ""));
    return text.split("\n").flatMap((line, i) =>
      [...line.matchAll(/\]\(([^)\s]+)[^)]*\)/g)]
        .map(([, link]) => link)
        .filter((link) => !/^[a-z]+:/.test(link) && !leadsSomewhere(link, file))
        .map((link) => `${relative(root, file)}:${i + 1}: there is no "${link}"`)
    );
  });
}

function leadsSomewhere(link: string, file: string): boolean {
  const [path, heading] = decodeURI(link).split("#");
  const target = path === "" ? file : join(dirname(file), path);
  if (!exists(target)) return false;
  return heading === undefined || !target.endsWith(".md") || headingsOf(target).includes(heading);
}

/** The names by which a page's headings are linked to: small letters, digits and hyphens. */
function headingsOf(file: string): string[] {
  const text = Deno.readTextFileSync(file).replaceAll(/^(```|~~~)[^]*?^\1/gm, "");
  return [...text.matchAll(/^#+ +(.*)$/gm)].map(([, title]) =>
    title.trim().toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-")
  );
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

if (import.meta.main) {
  const found = checkMarkdownLinks(fromFileUrl(new URL("..", import.meta.url)));
  for (const link of found) console.error(link);
  if (found.length > 0) Deno.exitCode = 1;
}
