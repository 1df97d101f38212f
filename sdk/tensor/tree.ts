/** Tensors inside of other values: arrays, sets, maps and plain objects, however deep. */
import { raise } from "../errors.ts";
import type { Tensor } from "./tensor.ts";

/** Whether a value is an object made by `{…}`, and not of a class. */
export function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Every tensor in a value: the value itself, or inside arrays, sets, maps and plain objects. */
export function tensorsIn(
  value: unknown,
  found: Set<Tensor> = new Set(),
  seen: Set<unknown> = new Set(),
): Set<Tensor> {
  if (typeof value !== "object" || value === null || seen.has(value)) return found;
  if (isTensor(value)) return found.add(value);
  seen.add(value);
  for (const v of contentsOf(value) ?? []) tensorsIn(v, found, seen);
  return found;
}

/** The same value with each tensor replaced; arrays, sets, maps and plain objects are copied. */
export function mapTensors<T>(value: T, replace: (t: Tensor) => Tensor, depth = 0): T {
  if (depth > MOST_DEPTH) {
    raise(
      "KW-ARGUMENT",
      `Cannot go through a value that is nested more than ${MOST_DEPTH} deep, or holds itself`,
    );
  }
  if (typeof value !== "object" || value === null) return value;
  if (isTensor(value)) return replace(value) as T;
  const map = <V>(v: V) => mapTensors(v, replace, depth + 1);
  if (Array.isArray(value)) return value.map(map) as T;
  if (value instanceof Set) return new Set([...value].map(map)) as T;
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [k, map(v)])) as T;
  if (isPlain(value)) return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, map(v)])) as T;
  return value;
}

/** Whether a value is made of tensors, containers and host values only: no object of another class, and no function. */
export function isTree(value: unknown, depth = 0): boolean {
  if (depth > MOST_DEPTH || typeof value === "function") return false;
  if (typeof value !== "object" || value === null || isTensor(value)) return true;
  const contents = contentsOf(value);
  return contents !== undefined && [...contents].every((v) => isTree(v, depth + 1));
}

/** Has {@linkcode tensorsIn} know a tensor; told by membership, since tensor.ts imports this file. */
export function markTensor(t: Tensor): void {
  known.add(t);
}

// ---------------------------------------------------------------------------

const MOST_DEPTH = 1000;

const known = new WeakSet<object>();

function isTensor(value: object): value is Tensor {
  return known.has(value);
}

function contentsOf(value: object): Iterable<unknown> | undefined {
  if (Array.isArray(value) || value instanceof Set) return value;
  if (value instanceof Map) return value.values();
  return isPlain(value) ? Object.values(value) : undefined;
}
