import { raise } from "../errors.ts";
import { Module } from "../nn/mod.ts";

/**
 * The parameters that a kernel wants: its constructor builds them on the meta device, and the conversions of
 * {@linkcode layout} say how the original's weights get there.
 *
 * A layout never runs alone: it takes its site only together with a kernel.
 *
 * See the example of {@linkcode layout}.
 */
export abstract class Layout extends Module {
  // Nominal: a class that merely looks like a layout is not one.
  readonly #layout = true;

  /** Whether `value` is a layout. */
  static is(value: unknown): value is Layout {
    return typeof value === "object" && value !== null && #layout in value;
  }

  /** The kernel brings the forward. @throws KW-LAYOUT-NO-KERNEL */
  // deno-lint-ignore no-explicit-any -- the kernel's site types it
  override forward(..._args: any[]): unknown {
    return raise(
      "KW-LAYOUT-NO-KERNEL",
      `The layout ${this.constructor.name} was run without a kernel`,
      "Put it into a model with kernelize(), which binds its kernel's forward.",
    );
  }
}
