import { refuseArgument } from "../arguments.ts";
import { raise } from "../errors.ts";
import { Module } from "./module.ts";

/**
 * Modules in a row; their paths are their indices: `layers.0`, `layers.1`, …
 *
 * @example
 * ```ts
 * import { Linear, ModuleList } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * const layers = new ModuleList([new Linear(4, 8, false), new Linear(8, 4, false)]);
 * assertEquals([...layers.stateDict().keys()], ["0.weight", "1.weight"]);
 * assertEquals([...layers].map((l) => l.out_features), [8, 4]);
 * ```
 */
export class ModuleList<M extends Module = Module> extends Module implements Iterable<M> {
  /** The module at an index. */
  [index: number]: M;
  /** How many there are. */
  get length(): number {
    return Object.keys(this).length;
  }

  /**
   * Puts modules in a row.
   *
   * @param modules The modules, in order.
   */
  constructor(modules: Iterable<M> = []) {
    super();
    if (typeof modules?.[Symbol.iterator] !== "function") {
      refuseArgument("new ModuleList(): modules", modules, "modules in an array");
    }
    let i = 0;
    for (const m of modules) this[i++] = m;
  }

  /** The modules in order. */
  *[Symbol.iterator](): Iterator<M> {
    const { length } = this; // counted once: each count walks all keys
    for (let i = 0; i < length; i++) yield this[i];
  }

  /** A list is not run: its parent runs its members. */
  override forward(): never {
    raise("KW-MODULE-FORWARD", "A ModuleList has no forward", "Run its members one by one.");
  }
}
