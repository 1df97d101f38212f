import { raise } from "../errors.ts";

/** What `--allow-links` is, of every command that reads a model's folder. */
export const ALLOW_LINKS = "follow files of the folder that are links to somewhere else";

/** A whole number from the command line, in decimal digits. @throws KW-CLI-ARGUMENT */
export function wholeNumber(option: string, text: string, least = 0): number {
  const value = /^\s*\+?\d+\s*$/.test(text) ? Number(text) : NaN;
  if (value >= least && value < 2 ** 31) return value;
  raise(
    "KW-CLI-ARGUMENT",
    `${option} got ${JSON.stringify(text)}`,
    `Give a whole number of at least ${least}.`,
  );
}

/** A number from the command line, in decimal digits; whether it is in range is for others to say. @throws KW-CLI-ARGUMENT */
export function number(option: string, text: string): number {
  if (/^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(text)) return Number(text);
  raise("KW-CLI-ARGUMENT", `${option} got ${JSON.stringify(text)}`, "Give a number.");
}

/** Token ids separated by commas. @throws KW-CLI-ARGUMENT */
export function tokenIds(option: string, text: string): number[] {
  return text.split(",").map((part) => wholeNumber(option, part));
}

/** One of a few words. @throws KW-CLI-ARGUMENT */
export function oneOf<const T extends readonly string[]>(
  option: string,
  text: string,
  allowed: T,
): T[number] {
  if (allowed.includes(text)) return text;
  raise("KW-CLI-ARGUMENT", `${option} got ${JSON.stringify(text)}`, `Give ${allowed.join(" or ")}.`);
}

/** Writes a file that an option names. @throws KW-CLI-ARGUMENT */
export async function writeNamed(option: string, file: string, content: Uint8Array | string): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await Deno.writeFile(file, bytes).catch((cause) =>
    raise(
      "KW-CLI-ARGUMENT",
      `Cannot write ${JSON.stringify(file)}: ${cause instanceof Error ? cause.message : String(cause)}`,
      `Give ${option} a file in a folder that can be written.`,
      undefined,
      cause,
    )
  );
}
