/** The property of a parent that holds a module: where a swap writes. */
import { raise } from "../../errors.ts";
import type { Module } from "../../nn/mod.ts";
import type { Node } from "./tree.ts";

/**
 * Checks that a module can be swapped where it stands, before anything is changed.
 *
 * @param layout What will stand there; undefined where the module stays and gets a forward of its own.
 * @throws KW-SWAP-READONLY
 */
export function checkSlots(nodes: readonly Node[], layout: Module | undefined): void {
  for (const node of layout ? nodes : []) {
    const why = node.parent && readOnly(node.parent.module, node.key);
    if (why) refuse(node, why);
  }
  const self = layout ?? nodes[0].module;
  if (readOnly(self, "forward", true)) {
    refuse(nodes[0], layout ? "its layout is frozen" : "the module is frozen");
  }
}

/**
 * Puts a module where a node stands.
 *
 * @throws KW-SWAP-READONLY where a setter does something else.
 */
export function setChild(node: Node, module: Module): void {
  const parent = node.parent!.module as unknown as Record<string, unknown>;
  try {
    parent[node.key] = module;
  } catch (cause) {
    refuse(node, `its parent throws where it is set: ${String(cause)}`, cause);
  }
  if (parent[node.key] !== module) refuse(node, "its parent has a setter that keeps something else");
}

// ---------------------------------------------------------------------------

/** Why a property cannot be set, if it cannot. */
function readOnly(holder: object, key: string, asOwn = false): string | undefined {
  let at: object | null = holder;
  for (; at; at = asOwn ? null : Object.getPrototypeOf(at)) {
    const found = Object.getOwnPropertyDescriptor(at, key);
    if (!found) continue;
    if (asOwn) return found.configurable || found.writable ? undefined : "its parent is frozen";
    if (found.set) return undefined;
    if (found.get) return "its parent has a getter for it and no setter";
    if (found.writable) break;
    return Object.isFrozen(at) ? "its parent is frozen" : "its parent's property is read-only";
  }
  if (at === holder) return undefined; // an own property that can be written
  return Object.isExtensible(holder) ? undefined : "its parent takes no new properties";
}

function refuse(node: Node, why: string, cause?: unknown): never {
  const { path, key, parent } = node;
  const holder = parent ? `"${parent.path || "the model"}" (${parent.module.constructor.name})` : "the model";
  raise(
    "KW-SWAP-READONLY",
    `Cannot swap "${path}": ${why}`,
    `A swap sets "${key}" of ${holder}: leave that property writable, or fuse at a parent that does.`,
    { site: path },
    cause,
  );
}
