import { Module } from "./module.ts";

/**
 * Hands on its first argument. Takes the place of the later parts of a fusion.
 *
 * @example
 * ```ts
 * import { Identity } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(new Identity().call("as it is"), "as it is");
 * ```
 */
export class Identity extends Module {
  /** Returns `x` itself. */
  override forward<T>(x: T): T {
    return x;
  }
}
