/** The code on a page of documentation. @module */

const ROOT = new URL("../../", import.meta.url);

/** A fenced block. */
export interface Block {
  /** What stands behind the fence: `ts`, `sh`, `ts ignore`. */
  language: string;
  /** The file that the text before it names, as in "`layout.ts`:"; the last one in the paragraph that leads to it. */
  file?: string;
  /** What is between the fences. */
  code: string;
}

/** The text of a page. */
export function textOf(page: string): string {
  return Deno.readTextFileSync(new URL(page, ROOT));
}

/** The blocks of a page, in their order. */
export function blocksOf(page: string): Block[] {
  const text = textOf(page);
  const found = [...text.matchAll(/^```([^\n]*)\n([^]*?)^```$/gm)];
  return found.map((match, i) => {
    const before = text.slice(i === 0 ? 0 : found[i - 1].index + found[i - 1][0].length, match.index);
    const file = before.trim().split("\n\n").at(-1)!.match(/`[\w-]+\.(ts|wgsl|json)`/g)?.at(-1);
    return { language: match[1], file: file?.slice(1, -1), code: match[2] };
  });
}
