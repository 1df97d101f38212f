import * as z from "zod";
import { raise } from "../../errors.ts";
import { type JsonNode, parseJson, plainJson } from "./json.ts";
import { shortKey } from "./header.ts";
import type { Source } from "../source/source.ts";

/** The file that says which shard has which tensor. */
export const INDEX_NAME = "model.safetensors.index.json";

/** What an index says. */
export interface ShardIndex {
  /** For each key, the shard's file name. */
  readonly weightMap: ReadonlyMap<string, string>;
  /** The file's bytes. */
  readonly bytes: Uint8Array;
}

/** An index of a hundred thousand tensors has less than a tenth of this. */
const MAX_INDEX = 100_000_000;

/**
 * Reads and checks an index. Every shard's name must stay inside the folder.
 *
 * @throws KW-CHECKPOINT-INDEX, KW-CHECKPOINT-SHARD
 */
export async function readShardIndex(source: Source): Promise<ShardIndex> {
  const file = source.name;
  if (source.size > MAX_INDEX) {
    raise(
      "KW-CHECKPOINT-INDEX",
      `The index has ${source.size} bytes, and at most ${MAX_INDEX} are read`,
      undefined,
      { file },
    );
  }
  const bytes = await source.read(0, source.size);
  const root = parseJson(bytes, (what, at, key) =>
    raise(
      "KW-CHECKPOINT-INDEX",
      `The index is not usable JSON: ${what}`,
      "Get the file again.",
      { file, byte: at, key: key && shortKey(key) },
    ));
  const parsed = Schema.safeParse(plainJson(root));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    raise(
      "KW-CHECKPOINT-INDEX",
      `The index is not as it should be: ${issue.message}`,
      'It must have a "weight_map" from keys to file names.',
      { file, json: shortKey(issue.path.join(".")) || undefined },
    );
  }
  const map = (root as JsonNode & { kind: "object" }).entries.get("weight_map") as JsonNode & {
    kind: "object";
  };
  // From the nodes, not from the plain object: there a key "__proto__" would be lost.
  const weightMap = new Map([...map.entries].map(([key, node]) => {
    const { value } = node as JsonNode & { kind: "string" };
    checkShardName(value, key, node.at, file);
    return [key, value];
  }));
  return { weightMap, bytes };
}

/** The index for shards, as Hugging Face's libraries write it. */
export function writeShardIndex(weightMap: ReadonlyMap<string, string>, totalSize: number): Uint8Array {
  const sorted = [...weightMap].sort(([a], [b]) => (a < b ? -1 : 1));
  const index = { metadata: { total_size: totalSize }, weight_map: Object.fromEntries(sorted) };
  return new TextEncoder().encode(JSON.stringify(index, null, 2) + "\n");
}

// ---------------------------------------------------------------------------

const Schema = z.looseObject({ weight_map: z.record(z.string(), z.string()) });

function checkShardName(name: string, key: string, byte: number, file: string): void {
  const segments = name.split(/[/\\]/);
  const absolute = segments[0] === "" || /^[A-Za-z]:/.test(name);
  if (!absolute && !name.includes("\0") && !segments.some((s) => s === ".." || s === "." || s === "")) return;
  raise(
    "KW-CHECKPOINT-SHARD",
    `The index says that a tensor is in ${JSON.stringify(shortKey(name))}, which is not inside the folder`,
    "Shards lie beside the index and are named relative to it; do not trust this checkpoint.",
    { file, key: shortKey(key), byte },
  );
}
