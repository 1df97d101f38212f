import { checkArgument, checkFields, refuseArgument } from "../arguments.ts";
import { closest, raise } from "../errors.ts";
import { type Checkpoint, type CheckpointFile, makeCheckpoint } from "./checkpoint.ts";
import { fs, joinFile } from "../host/mod.ts";
import { type Folder, type FolderLocation, type FolderOptions, locate, openFolder } from "./source/folder.ts";
import { readHeader, shortKey } from "./safetensors/header.ts";
import { INDEX_NAME, readShardIndex, type ShardIndex } from "./safetensors/shard_index.ts";
import { fileSource, type Source } from "./source/source.ts";
import { urlSource } from "./source/url_source.ts";

/** How a checkpoint is opened. */
export interface OpenOptions extends FolderOptions {
  /**
   * Allows files that are links to somewhere outside of the folder, as in Hugging Face's cache. Only for folders that
   * you made.
   */
  readonly allowLinks?: boolean;
}

const SINGLE_NAME = "model.safetensors";

/**
 * Opens a checkpoint: a `.safetensors` file, a folder with `model.safetensors` or with shards and
 * `model.safetensors.index.json`, or a source of bytes. File and folder may be paths or addresses (`https://…`), and a
 * folder also the files that a user picked. Reads and checks the headers, and no tensor.
 *
 * @throws KW-CHECKPOINT-OPEN, KW-CHECKPOINT-INDEX, KW-CHECKPOINT-SHARD, KW-CHECKPOINT-KEYS, and what
 * {@linkcode readHeader} says.
 *
 * @example
 * ```ts
 * import { openCheckpoint } from "@kernelwright/sdk/checkpoint";
 * import { assertEquals } from "@std/assert";
 *
 * await using checkpoint = await openCheckpoint("./model"); // or "https://…/model", or picked files
 * const { dtype, shape } = checkpoint.tensors.get("model.norm.weight")!;
 * assertEquals([dtype, shape], ["F32", [16]]);
 * ```
 */
export async function openCheckpoint(
  from: FolderLocation | Source,
  options: OpenOptions = {},
): Promise<Checkpoint> {
  checkArgument("openCheckpoint(): options", options, "an object");
  if (typeof from !== "string" && (typeof from !== "object" || from === null)) {
    refuseArgument("openCheckpoint(): from", from, "a path, an address, files, a Folder or a Source");
  }
  if (isSource(from)) return await openSource(from);
  if (typeof from === "string" || from instanceof URL) {
    const file = await singleFile(locate(from), options.signal);
    if (file) return await openSource(file);
  }
  const folder = openFolder(from, options);
  const single = await folder.open(SINGLE_NAME);
  if (single) {
    const checkpoint = await openSource(single);
    return makeCheckpoint(folder.name, [{ name: SINGLE_NAME, header: checkpoint.files[0].header }]);
  }
  const index = await folder.open(INDEX_NAME);
  return index ? await openShards(folder, index) : await nothingThere(folder);
}

// ---------------------------------------------------------------------------

function isSource(from: FolderLocation | Source): from is Source {
  return typeof (from as Partial<Source>).read === "function";
}

/** The file at a place that is not a folder's. An address is a file's where it ends like one, or could have no others. */
async function singleFile(place: string | URL, signal?: AbortSignal): Promise<Source | undefined> {
  if (typeof place === "string") {
    const folder = await fs().stat(place).then((s) => s.isDirectory(), () => false);
    return folder ? undefined : await fileSource(place);
  }
  if (!/\.safetensors$/.test(place.pathname) && !/^(blob|data):$/.test(place.protocol)) return undefined;
  return await urlSource(place, { signal }) ??
    raise("KW-CHECKPOINT-OPEN", "The server has no such file, or does not give it", "Check the address.", {
      file: place.href,
    });
}

async function openSource(source: Source): Promise<Checkpoint> {
  checkFields("openCheckpoint(): from", source, { name: "a string", size: "a count", read: "a function" });
  try {
    const name = source.name.split("/").at(-1)!;
    return makeCheckpoint(source.name, [{ name, header: await readHeader(source) }]);
  } catch (error) {
    return await closeAnd(source, error);
  }
}

async function openShards(folder: Folder, indexFile: Source): Promise<Checkpoint> {
  const index = await readShardIndex(indexFile).finally(() => indexFile.close?.());
  const files: CheckpointFile[] = [];
  try {
    for (const name of [...new Set(index.weightMap.values())].sort()) {
      const source = await folder.open(name) ?? shardMissing(folder, index, name);
      files.push({ name, header: await readHeader(source).catch((e) => closeAnd(source, e)) });
    }
    checkKeys(index, files, indexFile.name);
    return makeCheckpoint(folder.name, files, { name: INDEX_NAME, bytes: index.bytes });
  } catch (error) {
    for (const f of files) await f.header.source.close?.();
    throw error;
  }
}

async function closeAnd(source: Source, error: unknown): Promise<never> {
  await source.close?.();
  throw error;
}

function shardMissing(folder: Folder, index: ShardIndex, name: string): never {
  const keys = [...index.weightMap].filter(([, file]) => file === name).map(([key]) => key);
  raise(
    "KW-CHECKPOINT-SHARD",
    `The shard ${JSON.stringify(shortKey(name))} is missing; it has ${keys.length} tensors`,
    "Get the file and put it beside the index.",
    { file: joinFile(folder.name, name), key: shortKey(keys[0]) },
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

async function nothingThere(folder: Folder): Promise<never> {
  const names = await folder.list?.() ?? [];
  const found = names.filter((n) => /\.(safetensors|bin|pt|pth|gguf)$/.test(n)).sort();
  return raise(
    "KW-CHECKPOINT-OPEN",
    `The folder has neither ${SINGLE_NAME} nor ${INDEX_NAME}`,
    found.length === 0
      ? "Give the folder that has the weights, or a file."
      : `It has ${
        found.slice(0, 4).join(", ")
      }: give a .safetensors file by its path; other formats must be converted.`,
    { file: folder.name },
  );
}
