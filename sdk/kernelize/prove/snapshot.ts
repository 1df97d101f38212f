/**
 * What modules hold, so that a run on meta can be undone: their own properties, and the contents of arrays, maps,
 * sets and objects that they lead to.
 *
 *   module ─► { cache: […], log: Map } ─► […]        tensors and other modules are the ends of the walk
 */
import { Module } from "../../nn/mod.ts";
import { Parameter, Tensor } from "../../tensor/mod.ts";

/** What objects held at one moment. */
export interface Snapshot {
  /** Puts everything back that has changed. */
  restore(): void;
  /** Tensors that have been put somewhere since, each with where that is. */
  added(): [place: string, tensor: Tensor][];
}

/** Looks at the modules' own properties and what they lead to; each with the name that `added` uses for it. */
export function snapshot(roots: Iterable<readonly [name: string, object]>): Snapshot {
  const held = [...walk(roots)];
  return {
    restore: () => {
      for (const { object, contents } of held) putBack(object, contents);
    },
    added: () => {
      const before = new Map(held.map(({ object, contents }) => [object, new Set(contents.values())]));
      const found: [string, Tensor][] = [];
      for (const { name, object, contents } of walk(roots)) {
        const known = before.get(object);
        for (const [key, value] of contents) {
          if (!(value instanceof Tensor) || value instanceof Parameter || known?.has(value)) continue;
          found.push([object instanceof Module ? join(name, String(key)) : name, value]);
        }
      }
      return found;
    },
  };
}

// ---------------------------------------------------------------------------

interface Held {
  /** The module's path and the property that led here. */
  readonly name: string;
  readonly object: object;
  readonly contents: Map<unknown, unknown>;
}

function* walk(roots: Iterable<readonly [string, object]>): Generator<Held> {
  const seen = new Set<object>();
  const waiting: [string, object][] = [...roots].map(([name, object]) => [name, object]);
  for (const [, object] of waiting) seen.add(object);
  while (waiting.length > 0) {
    const [name, object] = waiting.pop()!;
    const contents = contentsOf(object);
    yield { name, object, contents };
    for (const [key, value] of contents) {
      if (typeof value !== "object" || value === null || seen.has(value) || isEnd(value)) continue;
      seen.add(value);
      waiting.push([object instanceof Module ? join(name, String(key)) : name, value]);
    }
  }
}

function isEnd(value: object): boolean {
  return value instanceof Tensor || value instanceof Module || ArrayBuffer.isView(value) ||
    Object.isFrozen(value);
}

/** Entries of a map, elements, or own data properties (a getter is not asked: it may do something). */
function contentsOf(object: object): Map<unknown, unknown> {
  if (object instanceof Map) return new Map(object);
  if (object instanceof Set) return new Map([...object].map((v) => [v, v]));
  const contents = new Map<unknown, unknown>();
  for (const key of Object.keys(object)) {
    const d = Object.getOwnPropertyDescriptor(object, key)!;
    if ("value" in d) contents.set(key, d.value);
  }
  return contents;
}

function putBack(object: object, before: Map<unknown, unknown>): void {
  const now = contentsOf(object);
  const same = now.size === before.size &&
    [...before].every(([key, value]) => now.has(key) && Object.is(now.get(key), value));
  if (same) return;
  if (object instanceof Map) {
    object.clear();
    for (const [key, value] of before) object.set(key, value);
    return;
  }
  if (object instanceof Set) {
    object.clear();
    for (const value of before.values()) object.add(value);
    return;
  }
  const target = object as Record<string, unknown>;
  for (const key of now.keys() as Iterable<string>) if (!before.has(key)) delete target[key];
  for (const [key, value] of before as Map<string, unknown>) {
    if (!Object.is(target[key], value)) target[key] = value;
  }
  if (Array.isArray(object)) object.length = before.size;
}

function join(path: string, key: string): string {
  return path ? `${path}.${key}` : key;
}
