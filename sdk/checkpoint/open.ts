import { closest, KernelwrightError, raise } from "../errors.ts";
import { type Checkpoint, type CheckpointFile, makeCheckpoint } from "./checkpoint.ts";
import { fs, isMissing, joinFile, messageOf } from "./files.ts";
import { readHeader, shortKey } from "./safetensors.ts";
import { INDEX_NAME, readShardIndex, type ShardIndex } from "./shard_index.ts";
import { fileSource, type Source } from "./source.ts";

/** How a checkpoint is opened. */
export interface OpenOptions {
  /**
   * Allows files that are links to somewhere outside of the folder, as in Hugging Face's cache. Only for folders that
   * you made.
   */
  readonly allowLinks?: boolean;
}

const SINGLE_NAME = "model.safetensors";

/**
 * Opens a checkpoint: a `.safetensors` file, a folder with `model.safetensors` or with shards and
 * `model.safetensors.index.json`, or a source of bytes. Reads and checks the headers, and no tensor.
 *
 * @throws KW-CHECKPOINT-OPEN, KW-CHECKPOINT-INDEX, KW-CHECKPOINT-SHARD, KW-CHECKPOINT-KEYS, and what
 * {@linkcode readHeader} says.
 */
export async function openCheckpoint(
  from: string | URL | Source,
  options: OpenOptions = {},
): Promise<Checkpoint> {
  if (typeof from !== "string" && !(from instanceof URL)) return await openSource(from);
  const path = typeof from === "string" ? from : await pathOf(from);
  const { stat } = fs();
  const folder = await stat(path).then((s) => s.isDirectory(), () => false);
  if (!folder) return await openSource(await fileSource(path));
  const single = joinFile(path, SINGLE_NAME);
  if (await exists(single)) {
    await checkInside(path, single, options);
    const checkpoint = await openSource(await fileSource(single));
    return makeCheckpoint(path, [{ name: SINGLE_NAME, header: checkpoint.files[0].header }]);
  }
  const index = joinFile(path, INDEX_NAME);
  if (!await exists(index)) await nothingThere(path);
  return await openShards(path, index, options);
}

// ---------------------------------------------------------------------------

async function openSource(source: Source): Promise<Checkpoint> {
  try {
    const name = source.name.split("/").at(-1)!;
    return makeCheckpoint(source.name, [{ name, header: await readHeader(source) }]);
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

async function openShards(folder: string, indexPath: string, options: OpenOptions): Promise<Checkpoint> {
  await checkInside(folder, indexPath, options);
  const indexFile = await fileSource(indexPath);
  const index = await readShardIndex(indexFile).finally(() => indexFile.close?.());
  const files: CheckpointFile[] = [];
  try {
    for (const name of [...new Set(index.weightMap.values())].sort()) {
      const path = joinFile(folder, name);
      await checkShard(folder, path, index, name, options);
      const source = await fileSource(path);
      files.push({ name, header: await readHeader(source).catch((e) => closeAnd(source, e)) });
    }
    checkKeys(index, files, indexPath);
    return makeCheckpoint(folder, files, { name: INDEX_NAME, bytes: index.bytes });
  } catch (error) {
    for (const f of files) await f.header.source.close?.();
    throw error;
  }
}

async function closeAnd(source: Source, error: unknown): Promise<never> {
  await source.close?.();
  throw error;
}

async function checkShard(
  folder: string,
  path: string,
  index: ShardIndex,
  name: string,
  options: OpenOptions,
): Promise<void> {
  if (!await exists(path)) {
    const keys = [...index.weightMap].filter(([, file]) => file === name).map(([key]) => key);
    raise(
      "KW-CHECKPOINT-SHARD",
      `The shard ${JSON.stringify(shortKey(name))} is missing; it has ${keys.length} tensors`,
      "Get the file and put it beside the index.",
      { file: path, key: shortKey(keys[0]) },
    );
  }
  await checkInside(folder, path, options);
}

/** A link may lead out of the folder, although its name does not. */
async function checkInside(folder: string, path: string, options: OpenOptions): Promise<void> {
  if (options.allowLinks) return;
  const { realpath } = fs();
  const [root, real] = await Promise.all([realpath(folder), realpath(path)]);
  if (real.startsWith(joinFile(root, "")) || real.startsWith(`${root}\\`)) return;
  raise(
    "KW-CHECKPOINT-SHARD",
    "The file is a link that leads out of the checkpoint's folder",
    "Put the file itself there, or pass { allowLinks: true } for a folder that you made, such as a cache.",
    { file: path },
  );
}

/** What the index says and what the shards have must be the same. */
function checkKeys(index: ShardIndex, files: readonly CheckpointFile[], indexPath: string): void {
  for (const { name, header } of files) {
    for (const key of header.tensors.keys()) {
      const said = index.weightMap.get(key);
      if (said === name) continue;
      raise(
        "KW-CHECKPOINT-KEYS",
        said === undefined
          ? `The shard ${JSON.stringify(shortKey(name))} has a tensor that the index does not name`
          : `The shard ${JSON.stringify(shortKey(name))} has a tensor that the index says is in ${
            JSON.stringify(shortKey(said))
          }`,
        "Index and shards are not of one checkpoint; get them again.",
        { file: header.source.name, key: shortKey(key), byte: header.tensors.get(key)!.offset },
      );
    }
  }
  const byName = new Map(files.map((f) => [f.name, f.header]));
  for (const [key, name] of index.weightMap) {
    const header = byName.get(name)!;
    if (header.tensors.has(key)) continue;
    const near = closest(key, header.tensors.keys());
    raise(
      "KW-CHECKPOINT-KEYS",
      `The index says that a tensor is in ${JSON.stringify(shortKey(name))}, and that shard does not have it`,
      near === undefined
        ? "Index and shards are not of one checkpoint; get them again."
        : `It has ${JSON.stringify(shortKey(near))}.`,
      { file: indexPath, key: shortKey(key) },
    );
  }
}

async function nothingThere(folder: string): Promise<never> {
  const { readdir } = fs();
  const found = (await readdir(folder)).filter((n) => /\.(safetensors|bin|pt|pth|gguf)$/.test(n)).sort();
  return raise(
    "KW-CHECKPOINT-OPEN",
    `The folder has neither ${SINGLE_NAME} nor ${INDEX_NAME}`,
    found.length === 0
      ? "Give the folder that has the weights, or a file."
      : `It has ${
        found.slice(0, 4).join(", ")
      }: give a .safetensors file by its path; other formats must be converted.`,
    { file: folder },
  );
}

async function exists(path: string): Promise<boolean> {
  const { stat } = fs();
  try {
    await stat(path);
    return true;
  } catch (cause) {
    if (isMissing(cause)) return false;
    throw new KernelwrightError({
      code: "KW-CHECKPOINT-OPEN",
      what: `Cannot open the checkpoint: ${messageOf(cause)}`,
      where: { file: path },
    }, cause);
  }
}

async function pathOf(url: URL): Promise<string> {
  if (url.protocol !== "file:") {
    raise(
      "KW-CHECKPOINT-OPEN",
      `Cannot open ${url.href}: it is no file`,
      "Download it first, or give a source.",
    );
  }
  const { fileURLToPath } = await import("node:url");
  return fileURLToPath(url);
}
