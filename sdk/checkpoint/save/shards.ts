import { raise } from "../../errors.ts";
import { composeHeader, fileBytes, type PlannedTensor } from "../safetensors/header_writer.ts";
import type { Origin } from "../origin.ts";
import { INDEX_NAME, writeShardIndex } from "../safetensors/shard_index.ts";

/** A file that will be written. */
export interface PlannedFile {
  /** Its name. */
  readonly name: string;
  /** Its tensors, in order. */
  readonly tensors: readonly PlannedTensor[];
  /** Its header's bytes. */
  readonly header: Uint8Array;
}

/** The files of a checkpoint that will be written. */
export interface PlannedFiles {
  /** The files with tensors. */
  readonly files: readonly PlannedFile[];
  /** The index, where there are several. */
  readonly index?: Uint8Array;
}

const SINGLE_NAME = "model.safetensors";

/**
 * Divides tensors among files. With an origin and no size asked for, the files are the origin's; where nothing has
 * changed, with the very same header and index.
 */
export function planFiles(
  tensors: readonly PlannedTensor[],
  origin: Origin | undefined,
  maxShardSize: number | undefined,
): PlannedFiles {
  const divided = maxShardSize === undefined && origin
    ? byOrigin(tensors, origin)
    : numbered(pack(tensors, maxShardSize ?? Infinity), origin?.files[0]?.metadata);
  const named = divided.length === 1 ? [{ ...divided[0], name: SINGLE_NAME }] : divided;
  const files = named.map(({ name, tensors, metadata, raw }): PlannedFile => ({
    name,
    tensors,
    header: raw ?? composeHeader(tensors, metadata),
  }));
  if (files.length === 1) return { files };
  const map = new Map(files.flatMap((f) => f.tensors.map((t) => [t.key, f.name])));
  const same = origin?.index && divided.every((f) => f.raw);
  const total = tensors.reduce((n, t) => n + fileBytes(t), 0);
  return { files, index: same ? origin.index!.bytes : writeShardIndex(map, total) };
}

/** The names of everything that will be written. */
export function namesOf({ files, index }: PlannedFiles): string[] {
  return [...files.map((f) => f.name), ...(index ? [INDEX_NAME] : [])];
}

/**
 * A size in bytes from a number or a text such as `5GB` or `200MiB`.
 *
 * @throws KW-CHECKPOINT-OPTION
 */
export function parseSize(size: number | string): number {
  const [, digits, unit = "B"] = /^(\d+(?:\.\d+)?)\s*([KMGT]i?B|B)?$/.exec(String(size).trim()) ?? [];
  const scale = unit.includes("i") ? 1024 : 1000;
  const bytes = Math.floor(Number(digits) * scale ** (unit === "B" ? 0 : "KMGT".indexOf(unit[0]) + 1));
  if (bytes >= 1) return bytes;
  return raise(
    "KW-CHECKPOINT-OPTION",
    `Cannot read ${JSON.stringify(size)} as a size`,
    'Give a number of bytes, or a text such as "5GB".',
  );
}

// ---------------------------------------------------------------------------

interface Divided {
  readonly name: string;
  readonly tensors: readonly PlannedTensor[];
  readonly metadata?: ReadonlyMap<string, string>;
  /** The origin's header, where it is still true. */
  readonly raw?: Uint8Array;
}

function byOrigin(tensors: readonly PlannedTensor[], origin: Origin): Divided[] {
  const left = new Map(tensors.map((t) => [t.key, t]));
  const files = origin.files.map((f) => {
    const mine = f.tensors.filter((t) => left.has(t.key));
    for (const t of mine) left.delete(t.key);
    const raw = mine.length === f.tensors.length ? f.raw : undefined;
    return { name: f.name, tensors: mine as readonly PlannedTensor[], metadata: f.metadata, raw };
  }).filter((f) => f.tensors.length > 0);
  const last = files.at(-1) ?? { name: SINGLE_NAME, tensors: [], metadata: new Map([["format", "pt"]]) };
  if (left.size === 0 && files.length > 0) return files;
  const added = { ...last, tensors: [...last.tensors, ...left.values()], raw: undefined };
  return [...files.slice(0, -1), added];
}

/** As many tensors in each file as fit; one that is larger alone gets a file of its own. */
function pack(tensors: readonly PlannedTensor[], most: number): PlannedTensor[][] {
  const shards: PlannedTensor[][] = [];
  let size = 0;
  for (const t of tensors) {
    if (shards.length === 0 || (size > 0 && size + fileBytes(t) > most)) {
      shards.push([]);
      size = 0;
    }
    shards.at(-1)!.push(t);
    size += fileBytes(t);
  }
  return shards.length === 0 ? [[]] : shards;
}

function numbered(
  shards: readonly PlannedTensor[][],
  metadata: ReadonlyMap<string, string> = new Map([["format", "pt"]]),
): Divided[] {
  const pad = (n: number) => String(n).padStart(5, "0");
  return shards.map((tensors, i) => ({
    name: `model-${pad(i + 1)}-of-${pad(shards.length)}.safetensors`,
    tensors,
    metadata,
  }));
}
