import { assertInstanceOf } from "@std/assert";
import { bytesSource, openCheckpoint } from "../../sdk/checkpoint/mod.ts";
import type { Checkpoint } from "../../sdk/checkpoint/mod.ts";
import { KernelwrightError } from "../../sdk/errors.ts";

/** A safetensors file with this header, taken as it is. */
export function fileOf(
  header: string | Uint8Array,
  body: number | Uint8Array = 0,
  length?: bigint,
): Uint8Array<ArrayBuffer> {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const data = typeof body === "number" ? new Uint8Array(body) : body;
  const file = new Uint8Array(8 + json.length + data.length);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  file.set(json, 8);
  file.set(data, 8 + json.length);
  return file;
}

/** A tensor for {@linkcode checkpointOf}. */
export interface GivenTensor {
  /** Its dtype. */
  readonly dtype: string;
  /** Its shape. */
  readonly shape: readonly number[];
  /** Its bytes. */
  readonly bytes: Uint8Array;
}

/** The bytes of a file with these tensors, in this order. */
export function fileWith(
  tensors: Readonly<Record<string, GivenTensor>>,
  metadata?: Record<string, string>,
): Uint8Array<ArrayBuffer> {
  let at = 0;
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  for (const [key, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[key] = { dtype, shape, data_offsets: [at, at += bytes.length] };
  }
  const body = new Uint8Array(at);
  at = 0;
  for (const { bytes } of Object.values(tensors)) {
    body.set(bytes, at);
    at += bytes.length;
  }
  return fileOf(JSON.stringify(header), body);
}

/** A checkpoint of one file in memory. */
export function checkpointOf(tensors: Readonly<Record<string, GivenTensor>>): Promise<Checkpoint> {
  return openCheckpoint(bytesSource(fileWith(tensors), "test.safetensors"));
}

/** An F32 tensor. */
export function f32(shape: readonly number[], values?: ArrayLike<number>): GivenTensor {
  const count = shape.reduce((a, b) => a * b, 1);
  const data = Float32Array.from(values ?? Array.from({ length: count }, (_, i) => i + 1));
  return { dtype: "F32", shape, bytes: new Uint8Array(data.buffer) };
}

/** The message of the error that `run` ends in, which must be ours. */
export async function messageOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    assertInstanceOf(error, KernelwrightError, String(error));
    return error.message;
  }
  return "no error";
}

/** Whether two arrays of bytes are equal. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}

/** Runs `use` with a fresh folder, which is removed afterwards. */
export async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
