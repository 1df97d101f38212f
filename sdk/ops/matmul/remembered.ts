/**
 * What probes measured, in a file of the user's cache for each adapter:
 *
 *   { format, version, adapter, shaders, choices: { "linear f32 1 x 1024+ x 1024+": "block 1x8", … } }
 *
 * A help, never a need: what is missing, damaged, another adapter's or measured with other shaders is measured anew.
 */
import * as z from "zod";
import { builtin } from "../../host/host.ts";
import { userCacheFile } from "../../host/user_cache.ts";
import type { ProductChoice } from "./choice.ts";
import { linearCode } from "./linear_code.ts";
import { matmulCode } from "./matmul_code.ts";
import { TILE_CODE } from "./block.ts";

/** Where results are kept: a folder, the user's cache (unless told), or in this process only. */
export type ProductCacheFolder = string | false;

/** The choices in the file of an adapter. */
export async function readChoices(
  adapter: string,
  folder?: ProductCacheFolder,
): Promise<Map<string, ProductChoice>> {
  const none = new Map<string, ProductChoice>();
  const [file, files] = [fileOf(adapter, folder), builtin("node:fs/promises")];
  if (!file || !files) return none;
  try {
    if ((await files.stat(file)).size > MOST_BYTES) return none;
    const { success, data } = FileSchema.safeParse(JSON.parse(await files.readFile(file, "utf8")));
    if (!success || data.adapter !== adapter || data.shaders !== await shaderDigest()) return none;
    return new Map(Object.entries(data.choices) as [string, ProductChoice][]);
  } catch {
    return none; // none yet, none readable, or no JSON
  }
}

/** Writes the choices of an adapter, beside those that other processes have written meanwhile. */
export async function writeChoices(
  adapter: string,
  choices: ReadonlyMap<string, ProductChoice>,
  folder?: ProductCacheFolder,
): Promise<void> {
  const [file, files] = [fileOf(adapter, folder), builtin("node:fs/promises")];
  if (!file || !files) return;
  const all = { ...Object.fromEntries(await readChoices(adapter, folder)), ...Object.fromEntries(choices) };
  const head = { format: FORMAT, version: VERSION, adapter, shaders: await shaderDigest() };
  const draft = `${file}.${crypto.randomUUID()}`;
  try {
    await files.mkdir(file.replace(/[^/\\]*$/, ""), { recursive: true });
    await files.writeFile(draft, JSON.stringify({ ...head, choices: all }, null, 1) + "\n");
    await files.rename(draft, file); // so that no reader sees half a file
  } catch {
    // None that may be written: the process remembers.
    await files.rm(draft, { force: true }).catch(() => {});
  }
}

// ---------------------------------------------------------------------------

const FORMAT = "kernelwright-products";
const VERSION = 1;
const MOST_BYTES = 1 << 20;

const FileSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  adapter: z.string(),
  shaders: z.string(),
  choices: z.record(z.string().max(200), z.string().regex(/^(tile|block ([1-9]|1[0-6])x(4|8|16))$/)),
});

/** The adapter's name, with what file systems do not like replaced. */
function fileOf(adapter: string, folder?: ProductCacheFolder): string | undefined {
  const name = `products-${adapter.replace(/[^\w.-]+/g, "_").slice(0, 100)}.json`;
  return folder === undefined ? userCacheFile(name) : folder === false ? undefined : `${folder}/${name}`;
}

let digest: Promise<string> | undefined;

/** Of the code that all choices run: one block of each stands for the others, which the same text makes. */
function shaderDigest(): Promise<string> {
  return digest ??= (async () => {
    const code = [linearCode(8, 8, 4), matmulCode({ rows: 8, vectors: 2, widthA: 4, widthB: 4 }), TILE_CODE];
    const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(code.join("\0")));
    return Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
  })();
}
