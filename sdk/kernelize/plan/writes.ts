/**
 * What a kernel may write: what it made itself, what its `writes` names, and what the originals write too.
 *
 * Proven on meta when a plan is made, and held at every dispatch afterwards: a branch that no trace came by writes
 * nothing unseen either.
 */
import type { KernelDefinition } from "../../authoring/mod.ts";
import { raise } from "../../errors.ts";
import { Module } from "../../nn/mod.ts";
import type { PlannedSite } from "./plan.ts";
import { type Storage, Tensor, withWriteGuard } from "../../tensor/mod.ts";

/**
 * Runs a kernel's forward so that it writes only what it may.
 *
 * @param places What the originals write, as {@linkcode placesIn} names it.
 * @param wrote Told of each write that is allowed.
 * @throws KW-KERNEL-WRITES before the write.
 */
export function guarded<T>(
  kernel: KernelDefinition,
  self: Module,
  args: readonly unknown[],
  places: ReadonlySet<string>,
  run: () => T,
  wrote?: (memory: Storage) => void,
): T {
  let declared: Set<Storage> | undefined;
  let all: Map<Storage, string> | undefined;
  return withWriteGuard((memory, by) => {
    declared ??= declaredWrites(kernel, self, args);
    if (!declared.has(memory)) {
      all ??= placesIn(self, args);
      const place = all.get(memory);
      if (place === undefined || !places.has(place)) refuse(kernel, place, by);
    }
    wrote?.(memory);
  }, run);
}

/** The memory that a kernel says it writes when it is run with some arguments. */
export function declaredWrites(
  kernel: KernelDefinition,
  self: Module,
  args: readonly unknown[],
): Set<Storage> {
  const found = new Map<Storage, string>();
  try {
    if (kernel.writes) collect(kernel.writes.apply(self, [...args]), "", found, new Set());
  } catch (cause) {
    raise(
      "KW-KERNEL-WRITES",
      `The writes of ${kernel.name} failed: ${String(cause)}`,
      "The function gets what forward gets, and returns the tensors that forward may write.",
      undefined,
      cause,
    );
  }
  return new Set(found.keys());
}

/** The memory that a call is given, each with its place: `0`, `1.cache.keys.3`, `this.weight`. */
export function placesIn(self: Module, args: readonly unknown[]): Map<Storage, string> {
  const found = new Map<Storage, string>();
  const seen = new Set<unknown>();
  args.forEach((value, i) => collect(value, String(i), found, seen));
  collect(self, "this", found, seen);
  return found;
}

/** Of the tensors in a call's arguments, those at some places. */
export function writtenTensors(args: readonly unknown[], places: ReadonlySet<string>): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  const tell = (place: string, t: Tensor) => {
    if (places.has(place)) tensors.set(place, t);
  };
  const [found, seen] = [new Map<Storage, string>(), new Set<unknown>()];
  args.forEach((value, i) => collect(value, String(i), found, seen, tell));
  return tensors;
}

/** Whether a site's kernel, or its originals, write what they are given: a call of it cannot be repeated. */
export function writesInputs({ kernel, writes }: PlannedSite): boolean {
  return kernel.writes !== undefined || (writes?.size ?? 0) > 0;
}

/** Takes a model's kernels as they are, whatever they write: for the harness, which looks for itself. */
export function leaveUnguarded(model: Module): void {
  unguarded.add(model);
}

/** Whether a model's kernels are not looked at. */
export function isUnguarded(model: Module): boolean {
  return unguarded.has(model);
}

// ---------------------------------------------------------------------------

const unguarded = new WeakSet<Module>();

function collect(
  value: unknown,
  place: string,
  found: Map<Storage, string>,
  seen: Set<unknown>,
  tell?: (place: string, t: Tensor) => void,
): void {
  if (typeof value !== "object" || value === null || seen.has(value) || ArrayBuffer.isView(value)) return;
  seen.add(value);
  if (value instanceof Tensor) {
    if (value.released || found.has(value.storage.origin)) return;
    found.set(value.storage.origin, place);
    tell?.(place, value);
    return;
  }
  const below = (key: unknown, held: unknown) =>
    collect(held, place === "" ? String(key) : `${place}.${String(key)}`, found, seen, tell);
  if (value instanceof Module) { for (const [name, p] of value.namedParameters()) below(name, p); }
  else if (value instanceof Map) { for (const [key, held] of value) below(key, held); }
  else if (value instanceof Set) [...value].forEach((held, i) => below(i, held));
  else {
    for (const [key, d] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
      if ("value" in d) below(key, d.value); // a getter is not asked: it may do something
    }
  }
}

function refuse(kernel: KernelDefinition, place: string | undefined, by: string): never {
  raise(
    "KW-KERNEL-WRITES",
    `The forward of ${kernel.name} writes ${describePlace(place)} (${by}), and does not declare it`,
    "Write to a tensor of its own, Tensor.empty(…). Where the write is meant, say so: " +
      "@kernel({ …, writes: (x, context) => context.cache }).",
  );
}

/** A place in words: `"keys.1" of its argument 1`. */
export function describePlace(place: string | undefined): string {
  if (place === undefined) return "memory that it neither made nor was given";
  const [root, ...path] = place.split(".");
  const name = path.join(".");
  if (root === "this") return `its parameter "${name}"`;
  return name ? `"${name}" of its argument ${root}` : `its argument ${root}`;
}
