import { raise } from "../../errors.ts";
import { GpuStorage } from "../../gpu/mod.ts";
import { DTYPES, setReferenceValues, type Tensor } from "../../tensor/mod.ts";
import { type Bytes, codecOf, countNonFinite } from "../safetensors/codec.ts";
import { FILE_DTYPES } from "../safetensors/file_dtype.ts";
import { type TensorEntry, truncated } from "../safetensors/header.ts";

/** A run of elements of a tensor in a file. */
export interface FileRange {
  /** The tensor. */
  readonly entry: TensorEntry;
  /** The first element. */
  readonly from: number;
  /** How many. */
  readonly count: number;
}

/** What a {@linkcode PieceReader} tells. */
export interface PieceEvents {
  /** Bytes of a file were used up. */
  read?(entry: TensorEntry, bytes: number): void | Promise<void>;
  /** Values that are NaN or infinite, once loaded. */
  nonFinite?(entry: TensorEntry, count: number, first: number): void;
}

/** Larger pieces are not faster, and leave more of the driver's staging memory behind. */
const LARGEST_PIECE = 4 * 1024 * 1024;

/**
 * Streams tensors from files into tensors on a device, piece by piece, through scratch memory that is made once.
 *
 *   file ──read──► raw A / raw B ──decode──► scratch ──► slice of the target
 *                  (the next piece is read while this one is used)
 */
export class PieceReader {
  readonly #raw: [Bytes, Bytes];
  readonly #decoded: [Bytes];
  readonly #piece: number;
  readonly #events: PieceEvents;

  /** @param budget The bytes of scratch memory. */
  constructor(budget: number, events: PieceEvents = {}) {
    this.#piece = Math.min(LARGEST_PIECE, Math.floor(budget / 4 / 64) * 64);
    this.#raw = [new Uint8Array(0), new Uint8Array(0)];
    this.#decoded = [new Uint8Array(0)];
    this.#events = events;
  }

  /** Fills elements of `target` from `offset` on. */
  async fill(target: Tensor, offset: number, range: FileRange): Promise<void> {
    await this.forEach(range, target.dtype, (bytes, at) => write(target, offset + at, bytes));
  }

  /** Hands out a range decoded to `dtype`: the bytes are good until the next piece. `at` counts in the range. */
  async forEach(
    { entry, from, count }: FileRange,
    dtype: Tensor["dtype"],
    use: (bytes: Bytes, at: number) => void,
  ): Promise<void> {
    const [fileBytes, ownBytes] = [FILE_DTYPES[entry.dtype].bytes, DTYPES[dtype].bytes];
    const step = Math.floor(this.#piece / Math.max(fileBytes, ownBytes) / 8) * 8;
    const read = (at: number, i: number): Promise<Bytes> => {
      const bytes = Math.min(step, count - at) * fileBytes;
      return entry.source.read(
        entry.offset + (from + at) * fileBytes,
        bytes,
        this.#scratch(this.#raw, i, bytes),
      );
    };
    let next = count > 0 ? read(0, 0) : undefined;
    for (let at = 0, i = 1; at < count; at += step, i ^= 1) {
      const [n, raw] = [Math.min(step, count - at), await next!];
      next = undefined;
      const position = entry.offset + (from + at) * fileBytes;
      if (raw.length < n * fileBytes) {
        truncated(
          entry.source,
          position + raw.length,
          `this tensor ends at byte ${entry.offset + entry.bytes}`,
          entry.key,
        );
      }
      if (at + step < count) next = read(at + step, i);
      try {
        const decoded = this.#decode(entry, dtype, raw, from + at, n * ownBytes);
        this.#scan(entry, dtype, decoded, from + at);
        use(decoded, at);
      } catch (error) {
        await next?.catch(() => {}); // nobody else waits for it
        throw error;
      }
      await this.#events.read?.(entry, raw.length);
    }
  }

  #decode(entry: TensorEntry, dtype: Tensor["dtype"], raw: Bytes, first: number, bytes: number): Bytes {
    const codec = codecOf(entry.dtype, dtype)!; // the plan has checked it
    if (codec.same) return raw;
    const decoded = this.#scratch(this.#decoded, 0, bytes).subarray(0, bytes);
    const wrong = codec.decode(raw, decoded);
    if (wrong >= 0) outOfRange(entry, dtype, raw, first, wrong);
    return decoded;
  }

  #scan(entry: TensorEntry, dtype: Tensor["dtype"], decoded: Bytes, from: number): void {
    if (!this.#events.nonFinite || !DTYPES[dtype].float) return;
    const { count, first } = countNonFinite(dtype, decoded);
    if (count > 0) this.#events.nonFinite(entry, count, from + first);
  }

  /** Small tensors need no scratch of the full size. */
  #scratch(list: Bytes[], i: number, bytes: number): Bytes {
    if (list[i].length < bytes) list[i] = new Uint8Array(Math.min(this.#piece, Math.max(bytes, 65536)));
    return list[i];
  }
}

/** Whether two tensors of files are the same, bit by bit. */
export async function sameBytes(a: TensorEntry, b: TensorEntry, budget: number): Promise<boolean> {
  if (a.dtype !== b.dtype || a.bytes !== b.bytes) return false;
  const piece = Math.min(LARGEST_PIECE, Math.floor(budget / 2));
  for (let at = 0; at < a.bytes; at += piece) {
    const length = Math.min(piece, a.bytes - at);
    const [x, y] = await Promise.all([a, b].map((e) => e.source.read(e.offset + at, length)));
    if (x.length !== y.length || x.some((byte, i) => byte !== y[i])) return false;
  }
  return true;
}

// ---------------------------------------------------------------------------

function write(target: Tensor, offset: number, bytes: Bytes): void {
  const { storage } = target;
  const size = DTYPES[target.dtype].bytes;
  if (storage instanceof GpuStorage) {
    const { gpu, guard } = storage.backend;
    gpu.stream.write(storage.buffer, bytes, offset * size);
    guard?.wholeWords(storage);
  } else {
    setReferenceValues(target, DTYPES[target.dtype].array(bytes.slice().buffer), offset);
  }
}

function outOfRange(entry: TensorEntry, dtype: string, raw: Bytes, first: number, i: number): never {
  const { bytes } = FILE_DTYPES[entry.dtype];
  const view = new DataView(raw.buffer, raw.byteOffset + i * bytes, bytes);
  const unsigned = entry.dtype.startsWith("U");
  const value = bytes === 8
    ? unsigned ? view.getBigUint64(0, true) : view.getBigInt64(0, true)
    : bytes === 4
    ? unsigned ? view.getUint32(0, true) : view.getInt32(0, true)
    : view.getUint8(0);
  raise(
    "KW-CHECKPOINT-RANGE",
    `Element ${first + i} is ${value}, which does not fit ${dtype}`,
    `Check that the tensor is what the model expects: ${dtype} is all that WebGPU has for ${entry.dtype}.`,
    { file: entry.source.name, key: entry.key, byte: entry.offset + (first + i) * bytes },
  );
}
