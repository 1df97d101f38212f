/**
 * Writes docs/errors.md from the codes of the SDK and the advice in error_advice/.
 *
 *     deno run -A tools/errors_doc.ts
 *
 * @module
 */
import { fromFileUrl, join } from "@std/path";
import { ERROR_CODES, type ErrorCode } from "../sdk/error_codes.ts";
import { ADVICE } from "./error_advice/mod.ts";

const root = fromFileUrl(new URL("..", import.meta.url));

/** The page. */
export const ERRORS_PAGE: string = join(root, "docs", "errors.md");

/** The page's text, as it should be. */
export function errorsDoc(): string {
  const parts = [
    "# Errors\n",
    ...INTRODUCTION.split("\n\n").map((p) => `${p.startsWith("```") ? p : wrap(p)}\n`),
  ];
  for (const [group, codes] of groups()) {
    parts.push(`## ${group.charAt(0).toUpperCase()}${group.slice(1)}\n`);
    for (const code of codes) {
      const [cause, remedy] = ADVICE[code] ?? ["", ""];
      parts.push(
        `### ${code}\n`,
        `${wrap(ERROR_CODES[code])}\n`,
        `${wrap(`- Typically: ${cause}`, "  ")}\n${wrap(`- Do: ${remedy}`, "  ")}\n`,
      );
    }
  }
  return parts.join("\n");
}

/** Codes that lack advice, and advice for codes that there are no more. */
export function unadvised(): { missing: string[]; left: string[] } {
  return {
    missing: Object.keys(ERROR_CODES).filter((code) => !Object.hasOwn(ADVICE, code)),
    left: Object.keys(ADVICE).filter((code) => !Object.hasOwn(ERROR_CODES, code)),
  };
}

// ---------------------------------------------------------------------------------------------------------

const INTRODUCTION =
  `Every error of the SDK is a \`KernelwrightError\`. Its \`code\` is stable; its \`diagnostic\` is
data: what happened, where (the site's path, the kernel, the checkpoint's key, file and position), notes, and what to
do. \`message\` is the same as text:

\`\`\`
KW-TRACE-ESCAPES  NormMLP at "layers.0.norm"
  Cannot fuse "layers.0.norm" with "layers.0.mlp": the value between them is also read by "layers.0.attn"
  What stands between belongs to the fusion then: replace the parent, Block, with one kernel.
\`\`\`

This page is written by \`deno run -A tools/errors_doc.ts\` from \`sdk/error_codes.ts\` and \`tools/error_advice/\`.`;

/** Breaks lines as `deno fmt` does. */
function wrap(text: string, indent = "", width = 110): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line.trim() !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent + word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join("\n");
}

/** The codes under the comments that head them in the source. */
function groups(): Map<string, ErrorCode[]> {
  const found = new Map<string, ErrorCode[]>();
  let codes: ErrorCode[] = [];
  for (const line of Deno.readTextFileSync(join(root, "sdk", "error_codes.ts")).split("\n")) {
    const [, heading, code] = /^ {2}(?:\/\/ (.+)|"(KW-[A-Z-]+)":)/.exec(line) ?? [];
    if (heading) found.set(heading, codes = []);
    else if (code) codes.push(code as ErrorCode);
  }
  return found;
}

if (import.meta.main) Deno.writeTextFileSync(ERRORS_PAGE, errorsDoc());
