import { joinPath, layerName, type Module } from "../nn/mod.ts";

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
}

/** Walks the tree once. */
export function indexTree(root: Module): TreeIndex {
  const nodes: Node[] = [];
  const byModule = new Map<Module, Node>();
  const byName = new Map<string, Node[]>();
  const visit = (module: Module, key: string, parent: Node | undefined) => {
    const path = joinPath(parent?.path ?? "", key);
    const known = byModule.get(module);
    if (known) return void known.aliases.push(path);
    const node: Node = { path, key, module, parent, name: layerName(module), aliases: [] };
    nodes.push(node);
    byModule.set(module, node);
    if (node.name !== undefined) {
      const named = byName.get(node.name);
      if (named) named.push(node);
      else byName.set(node.name, [node]);
    }
    for (const [name, child] of module.children()) visit(child, name, node);
  };
  visit(root, "", undefined);
  return { nodes, byModule, byName };
}
