import { joinPath, layerName, type Module } from "../../nn/mod.ts";
import type { Parameter } from "../../tensor/mod.ts";

/** A module at its place in the tree. */
export interface Node {
  /** The path from the root. */
  readonly path: string;
  /** The property of the parent that holds it; empty for the root. */
  readonly key: string;
  /** The module. */
  readonly module: Module;
  /** The node above; undefined for the root. */
  readonly parent: Node | undefined;
  /** The name under which it can be replaced, if there is one. */
  readonly name: string | undefined;
  /** Further paths that lead to the same module. */
  readonly aliases: string[];
}

/** A tree of modules, ready to be asked. */
export interface TreeIndex {
  /** Every module once, parents before children. */
  readonly nodes: readonly Node[];
  /** The node of a module. */
  readonly byModule: ReadonlyMap<Module, Node>;
  /** Nodes by layer name. */
  readonly byName: ReadonlyMap<string, readonly Node[]>;
  /** The nodes that hold a parameter: several where it is tied. */
  readonly holders: ReadonlyMap<Parameter, readonly Node[]>;
}

/** Walks the tree once. */
export function indexTree(root: Module): TreeIndex {
  const nodes: Node[] = [];
  const byModule = new Map<Module, Node>();
  const byName = new Map<string, Node[]>();
  const holders = new Map<Parameter, Node[]>();
  const visit = (module: Module, key: string, parent: Node | undefined) => {
    const path = joinPath(parent?.path ?? "", key);
    const known = byModule.get(module);
    if (known) return void known.aliases.push(path);
    const node: Node = { path, key, module, parent, name: layerName(module), aliases: [] };
    nodes.push(node);
    byModule.set(module, node);
    if (node.name !== undefined) push(byName, node.name, node);
    for (const [, parameter] of module.parameters()) push(holders, parameter, node);
    for (const [name, child] of module.children()) visit(child, name, node);
  };
  visit(root, "", undefined);
  return { nodes, byModule, byName, holders };
}

/** Whether a node is one of `above`, or lies below one. */
export function isBelow(node: Node, above: readonly Node[]): boolean {
  for (let at: Node | undefined = node; at; at = at.parent) if (above.includes(at)) return true;
  return false;
}

// ---------------------------------------------------------------------------

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
