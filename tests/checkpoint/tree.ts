import { Module } from "../../sdk/nn/mod.ts";
import { type Parameter, parameter, type Shape } from "../../sdk/tensor/mod.ts";

/** A module that is only a tree: properties are put on it. */
export class Tree extends Module {
  override forward(): never {
    throw new TypeError("a tree has no forward");
  }
}

/** A tree of parameters with these keys and shapes, such as those of a checkpoint. */
export function treeOf(entries: Iterable<{ key: string; shape: Shape }>): Tree {
  const root = new Tree();
  for (const { key, shape } of entries) put(root, key, parameter(shape));
  return root;
}

/** Puts a parameter at a path, making the modules on the way. */
export function put(root: Tree, path: string, p: Parameter): void {
  const names = path.split(".");
  const last = names.pop()!;
  let at = root as unknown as Record<string, unknown>;
  for (const name of names) at = (at[name] ??= new Tree()) as Record<string, unknown>;
  at[last] = p;
}

/** Takes away what is at a path. */
export function take(root: Tree, path: string): void {
  const names = path.split(".");
  const last = names.pop()!;
  let at = root as unknown as Record<string, unknown>;
  for (const name of names) at = at[name] as Record<string, unknown>;
  delete at[last];
}

/** The parameter at a path. */
export function parameterAt(root: Module, path: string): Parameter {
  return root.stateDict().get(path)!;
}
