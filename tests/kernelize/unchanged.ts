import { assertEquals, assertStrictEquals } from "@std/assert";
import { type DeviceName, keep, scope, Tensor } from "../../sdk/tensor/mod.ts";
import type { Module } from "../../sdk/nn/mod.ts";
import { values } from "../helpers/random.ts";

/** Gives every parameter values that depend on its path alone. */
export function fill<M extends Module>(model: M, device: DeviceName = "reference"): M {
  for (const [path, p] of model.namedParameters()) {
    if (p.materialized) continue;
    const seed = [...path].reduce((a, c) => (a * 31 + c.charCodeAt(0)) >>> 0, 7);
    p.assign(keep(Tensor.from(values(p.size, seed), { shape: p.shape, device })));
  }
  return model;
}

/** What the model computes from a fixed input. */
export async function outputOf(
  model: Module,
  shape: readonly number[],
  device: DeviceName = "reference",
): Promise<number[]> {
  using x = keep(Tensor.from(values(shape.reduce((a, b) => a * b, 1), 99), { shape, device }));
  using y = keep(scope(() => model.call(x) as Tensor));
  return [...await y.data()];
}

/** Everything that kernelize must leave alone, or put back: objects, own properties, values. */
export function photograph(model: Module): () => Promise<void> {
  const modules = [...model.namedModules()];
  const properties = modules.map(([, m]) => Object.getOwnPropertyDescriptors(m));
  const contents = modules.map(([, m]) => contentsOf(m));
  const parameters = [...model.namedParameters()];
  const storages = parameters.map(([, p]) => p.device === "meta" ? undefined : p.data());
  return async () => {
    const now = [...model.namedModules()];
    assertEquals(now.map(([path]) => path), modules.map(([path]) => path));
    now.forEach(([path, m], i) => assertStrictEquals(m, modules[i][1], `another object at "${path}"`));
    now.forEach(([path, m], i) => sameProperties(path, Object.getOwnPropertyDescriptors(m), properties[i]));
    now.forEach(([path, m], i) => assertEquals(contentsOf(m), contents[i], `what "${path}" holds`));
    const params = [...model.namedParameters()];
    assertEquals(params.map(([path]) => path), parameters.map(([path]) => path));
    for (const [i, [path, p]] of params.entries()) {
      assertStrictEquals(p, parameters[i][1], `another parameter at "${path}"`);
      const before = await storages[i];
      assertEquals(p.materialized, before !== undefined, `"${path}" has values`);
      if (before) assertEquals(await p.data(), before, path);
    }
  };
}

/** Runs `fn`, and fails unless the model is afterwards what it was. */
export async function leavesUnchanged(model: Module, fn: () => Promise<void>): Promise<void> {
  const check = photograph(model);
  await fn();
  await check();
}

// ---------------------------------------------------------------------------

type Descriptors = Record<string, PropertyDescriptor>;

/** How much is in each array, map and plain object that a module holds. */
function contentsOf(module: Module): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const [key, value] of Object.entries(module)) {
    if (value instanceof Map || value instanceof Set) sizes[key] = value.size;
    else if (Array.isArray(value) || Object.getPrototypeOf(value ?? 0) === Object.prototype) {
      sizes[key] = Object.keys(value).length;
    }
  }
  return sizes;
}

function sameProperties(path: string, now: Descriptors, before: Descriptors): void {
  assertEquals(Object.keys(now), Object.keys(before), `the properties of "${path}"`);
  for (const key of Object.keys(now)) {
    assertStrictEquals(now[key].value, before[key].value, `"${path}.${key}"`);
    assertEquals(now[key].enumerable, before[key].enumerable);
  }
}
