/** Arguments of calls, held past the run that they belong to. */
import { DTYPES, keep, mapTensors, type Tensor, tensorsIn } from "../../tensor/mod.ts";

/** The same memory under a tensor of one's own. */
export function hold(t: Tensor): Tensor {
  return keep(t.reshape(t.shape));
}

/** {@linkcode hold} for the tensors in a value. */
export function holdAll<T>(value: T): T {
  return mapTensors(value, hold);
}

/** Releases what {@linkcode holdAll} made. */
export function dropAll(value: unknown): void {
  for (const t of tensorsIn(value)) t.dispose();
}

/** Bytes of the tensors in a value. */
export function bytesOf(value: unknown): number {
  return [...tensorsIn(value)].reduce((n, t) => n + t.size * DTYPES[t.dtype].bytes, 0);
}
