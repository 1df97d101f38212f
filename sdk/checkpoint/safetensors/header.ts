/**
 * The safetensors format: 8 bytes of header length, a JSON header, and the tensors' bytes without gaps.
 *
 *   ┌────────┬───────────────────────────────────────────────┬──────────────┬─────
 *   │ u64 n  │ {"a":{"dtype":"F32","shape":[2],              │ bytes of a   │ …
 *   │        │       "data_offsets":[0,8]}, …}   n bytes     │ 0 .. 8       │
 *   └────────┴───────────────────────────────────────────────┴──────────────┴─────
 *
 * Everything is checked before anything is believed, and no memory is taken that the file does not have.
 */
import { checkFields } from "../../arguments.ts";
import { raise } from "../../errors.ts";
import type { ErrorCode } from "../../error_codes.ts";
import { formatShape, type Shape } from "../../tensor/mod.ts";
import { FILE_DTYPES, type FileDType, isFileDType } from "./file_dtype.ts";
import { type JsonNode, parseJson } from "./json.ts";
import type { Source } from "../source/source.ts";

/** What a header says of one tensor. */
export interface TensorEntry {
  /** Its key. */
  readonly key: string;
  /** Its dtype in the file. */
  readonly dtype: FileDType;
  /** Its shape. */
  readonly shape: Shape;
  /** Its first byte, counted from the beginning of the file. */
  readonly offset: number;
  /** How many bytes it has. */
  readonly bytes: number;
  /** The file that it is in. */
  readonly source: Source;
}

/** What is known of a safetensors file from its header. */
export interface SafetensorsHeader {
  /** The file. */
  readonly source: Source;
  /** The tensors, in the order of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** The strings under `__metadata__`; undefined where there are none. */
  readonly metadata: ReadonlyMap<string, string> | undefined;
  /** The header's own bytes, with the 8 of its length: saving the same tensors writes them again. */
  readonly raw: Uint8Array;
}

/** The limit that the format's own library sets. */
const MAX_HEADER = 100_000_000;
const MAX_RANK = 32;

/**
 * Reads and checks a file's header. No tensor is read.
 *
 * @throws KW-CHECKPOINT-TRUNCATED, KW-CHECKPOINT-HEADER, KW-CHECKPOINT-OFFSETS, KW-CHECKPOINT-DTYPE
 *
 * @example
 * ```ts
 * import { bytesSource, readHeader, writeSafetensors } from "@kernelwright/sdk/checkpoint";
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using weight = Tensor.from([[1, 2], [3, 4]]);
 * const bytes = await writeSafetensors({ weight }, { metadata: { format: "pt" } });
 * const { tensors, metadata } = await readHeader(bytesSource(bytes));
 * assertEquals([tensors.get("weight")?.shape, metadata?.get("format")], [[2, 2], "pt"]);
 * ```
 */
export async function readHeader(source: Source): Promise<SafetensorsHeader> {
  checkFields("readHeader(): source", source, { read: "a function", size: "a count" });
  const length = await readLength(source);
  const raw = await source.read(0, 8 + length);
  if (raw.length < 8 + length) truncated(source, raw.length, `the header ends at byte ${8 + length}`);
  const { tensors, metadata } = new HeaderReader(source, raw).read();
  return { source, tensors: checkOffsets(source, tensors, 8 + length), metadata, raw };
}

/** Raises that a file is too short. */
export function truncated(source: Source, at: number, wanted: string, key?: string): never {
  raise(
    "KW-CHECKPOINT-TRUNCATED",
    `The file ends at byte ${at}, and ${wanted}`,
    "It was not written or downloaded to its end: get it again.",
    { file: source.name, byte: at, key },
  );
}

/** A key, not longer than a line: a hostile one may have megabytes. */
export function shortKey(key: string): string {
  return key.length > 120 ? `${key.slice(0, 117)}...` : key;
}

// ---------------------------------------------------------------------------

async function readLength(source: Source): Promise<number> {
  const bytes = await source.read(0, 8);
  if (bytes.length < 8) {
    truncated(source, bytes.length, "a safetensors file begins with 8 bytes of header length");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  const length = view.getBigUint64(0, true);
  if (length < 2n || length > BigInt(MAX_HEADER)) {
    raise(
      "KW-CHECKPOINT-HEADER",
      `The header's length is given as ${length} bytes, and it must be from 2 to ${MAX_HEADER}`,
      "This is not a safetensors file, or its beginning was overwritten.",
      { file: source.name, byte: 0 },
    );
  }
  const end = 8 + Number(length);
  if (end > source.size) truncated(source, source.size, `its header would end at byte ${end}`);
  return Number(length);
}

type Found = { entry: TensorEntry; at: number };

class HeaderReader {
  readonly #source: Source;
  readonly #raw: Uint8Array;

  constructor(source: Source, raw: Uint8Array) {
    [this.#source, this.#raw] = [source, raw];
  }

  read(): { tensors: Found[]; metadata: Map<string, string> | undefined } {
    const json = this.#raw.subarray(8);
    const root = parseJson(
      json,
      (what, at, key) => this.#fail(`The header is not usable JSON: ${what}`, at, key),
    );
    if (root.kind !== "object" || root.at !== 0) {
      this.#fail("The header must be a JSON object and begin with {", root.at);
    }
    const tensors: Found[] = [];
    let metadata: Map<string, string> | undefined;
    for (const [key, node] of root.entries) {
      if (key === "__metadata__") metadata = this.#metadata(node);
      else tensors.push({ entry: this.#entry(key, node), at: 8 + node.at });
    }
    return { tensors, metadata };
  }

  #metadata(node: JsonNode): Map<string, string> {
    const key = "__metadata__";
    if (node.kind !== "object") return this.#fail("The metadata must be an object of strings", node.at, key);
    const found = new Map<string, string>();
    for (const [name, value] of node.entries) {
      if (value.kind !== "string") {
        return this.#fail(`The metadata's ${JSON.stringify(shortKey(name))} must be a string`, value.at, key);
      }
      found.set(name, value.value);
    }
    return found;
  }

  #entry(key: string, node: JsonNode): TensorEntry {
    if (node.kind !== "object") return this.#fail("A tensor must be described by an object", node.at, key);
    const dtype = this.#field(key, node, "dtype");
    if (dtype.kind !== "string") return this.#fail('A tensor\'s "dtype" must be a string', dtype.at, key);
    if (!isFileDType(dtype.value)) {
      return this.#fail(
        `The dtype ${JSON.stringify(shortKey(dtype.value))} is not known`,
        dtype.at,
        key,
        "KW-CHECKPOINT-DTYPE",
        `Known are ${Object.keys(FILE_DTYPES).join(", ")}.`,
      );
    }
    const shape = this.#numbers(key, this.#field(key, node, "shape"), "shape", MAX_RANK);
    const offsetsNode = this.#field(key, node, "data_offsets");
    const offsets = this.#numbers(key, offsetsNode, "data_offsets", 2);
    if (offsets.length !== 2 || offsets[1] < offsets[0]) {
      this.#fail(
        `A tensor's "data_offsets" must be its begin and its end, and are [${offsets.join(", ")}]`,
        offsetsNode.at,
        key,
        "KW-CHECKPOINT-OFFSETS",
      );
    }
    this.#checkSize(key, dtype.value, shape, offsets, offsetsNode.at);
    return {
      key,
      dtype: dtype.value,
      shape,
      offset: this.#raw.length + offsets[0],
      bytes: offsets[1] - offsets[0],
      source: this.#source,
    };
  }

  #checkSize(key: string, dtype: FileDType, shape: Shape, offsets: readonly number[], at: number): void {
    const bytes = shape.reduce((a, b) => a * b, FILE_DTYPES[dtype].bytes);
    // An overflow hides behind a later zero: NaN or too large on the way is too large.
    const safe = shape.every((_, i) =>
      Number.isSafeInteger(shape.slice(0, i + 1).reduce((a, b) => a * b, 8))
    );
    if (!safe) this.#fail(`The shape ${formatShape(shape)} has more elements than can be counted`, at, key);
    if (bytes !== offsets[1] - offsets[0]) {
      this.#fail(
        `${dtype} ${formatShape(shape)} takes ${bytes} bytes, and its offsets [${offsets.join(", ")}] hold ${
          offsets[1] - offsets[0]
        }`,
        at,
        key,
        "KW-CHECKPOINT-OFFSETS",
      );
    }
  }

  #field(key: string, node: JsonNode & { kind: "object" }, name: string): JsonNode {
    return node.entries.get(name) ?? this.#fail(`The tensor's description lacks "${name}"`, node.at, key);
  }

  #numbers(key: string, node: JsonNode, name: string, most: number): number[] {
    if (node.kind !== "array" || node.items.length > most) {
      return this.#fail(`A tensor's "${name}" must be an array of at most ${most} numbers`, node.at, key);
    }
    return node.items.map((item) => {
      const text = item.kind === "number" ? item.text : "";
      const n = /^\d+$/.test(text) ? Number(text) : NaN;
      if (Number.isSafeInteger(n)) return n;
      const shown = text === ""
        ? `another ${item.kind === "literal" ? "value" : item.kind}`
        : text.slice(0, 40);
      return this.#fail(
        `A tensor's "${name}" must be whole numbers from 0 below 2^53, and has ${shown}`,
        item.at,
        key,
      );
    });
  }

  /** `at` counts in the JSON; the file's bytes begin 8 earlier. */
  #fail(
    what: string,
    at: number,
    key?: string,
    code: ErrorCode = "KW-CHECKPOINT-HEADER",
    fix?: string,
  ): never {
    raise(code, what, fix ?? "The file is damaged, or was not written by a safetensors library.", {
      file: this.#source.name,
      byte: 8 + at,
      key: key && shortKey(key),
    });
  }
}

/** Checks that the tensors lie one after the other, from the header's end to the file's. */
function checkOffsets(source: Source, found: readonly Found[], start: number): Map<string, TensorEntry> {
  const sorted = found.toSorted((a, b) => a.entry.offset - b.entry.offset || a.entry.bytes - b.entry.bytes);
  let end = start;
  let before: string | undefined;
  for (const { entry, at } of sorted) {
    if (entry.offset !== end) {
      const gap = entry.offset - end;
      const neighbour = before === undefined ? "the header" : JSON.stringify(before);
      raise(
        "KW-CHECKPOINT-OFFSETS",
        gap > 0
          ? `${gap} bytes lie between ${neighbour} and this tensor, and belong to nobody`
          : `This tensor begins ${-gap} bytes before the end of ${neighbour}`,
        "Tensors must follow each other without gaps; the file is damaged, or hides something.",
        { file: source.name, key: shortKey(entry.key), byte: at },
      );
    }
    end += entry.bytes;
    before = shortKey(entry.key);
    if (end > source.size) truncated(source, source.size, `this tensor ends at byte ${end}`, before);
  }
  if (end < source.size) {
    raise(
      "KW-CHECKPOINT-OFFSETS",
      `${source.size - end} bytes follow the last tensor, and belong to nobody`,
      "Tensors must fill the file; it is damaged, or hides something.",
      { file: source.name, byte: end },
    );
  }
  return new Map(sorted.map(({ entry }) => [entry.key, entry]));
}
