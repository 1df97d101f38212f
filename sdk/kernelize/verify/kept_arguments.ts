/** Arguments of calls, held past the run that they belong to. */
import { DTYPES, keep, Tensor } from "../../tensor/mod.ts";

/** The same memory under a tensor of one's own. */
export function hold(t: Tensor): Tensor {
  return keep(t.reshape(t.shape));
}

/** {@linkcode hold} for the tensors in a value; what is neither tensor nor plain object stays itself. */
export function holdAll(value: unknown): unknown {
  if (value instanceof Tensor) return hold(value);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) {
    return value;
  }
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, holdAll(v)]));
}

/** Whether a value is made of tensors, plain objects and host values only, so that a call can be repeated with it. */
export function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null || value instanceof Tensor) return true;
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isPlain);
}

/** Releases what {@linkcode holdAll} made. */
export function dropAll(value: unknown): void {
  if (value instanceof Tensor) value.dispose();
  else if (
    typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype
  ) Object.values(value).forEach(dropAll);
}

/** Bytes of the tensors in a list. */
export function bytesOf(values: readonly unknown[]): number {
  return values.reduce<number>(
    (n, t) => t instanceof Tensor ? n + t.size * DTYPES[t.dtype].bytes : n,
    0,
  );
}
