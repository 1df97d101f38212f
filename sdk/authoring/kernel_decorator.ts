import { showValue } from "../arguments.ts";
import { checkClassDecorator } from "../decorator.ts";
import { inContext, raise } from "../errors.ts";
import type { Module } from "../nn/mod.ts";
import type { Layout } from "./layout.ts";
import { type Accepts, type LayoutDefinition, layoutDefinition } from "./layout_decorator.ts";
import { checkOptions } from "./options.ts";
import type { Requirements } from "./requirements.ts";
import type { SignatureMismatch } from "./signature_mismatch.ts";
import { checkSite, describeSite, type First, sameSite, type Site } from "./site.ts";
import { checkStateless } from "./stateless.ts";
import { checkTune, type Tune } from "./tune.ts";

/** What {@linkcode kernel} takes. */
export interface KernelOptions<
  Ctor extends readonly unknown[],
  Args extends readonly unknown[],
  Ret,
  Parts extends readonly Module[],
  T extends Layout,
> {
  /** Where the kernel goes. */
  readonly site: Site<Ctor, Args, Ret, Parts>;
  /** The layout whose parameters it reads. Left out: the module's own; then the site is a `replaces`. */
  // A layout of another site does not fit; that it takes exactly these parameters is proven by @layout.
  readonly layout?: abstract new (...args: [...NoInfer<Ctor>]) => T;
  /** What it needs of the device and of the model. */
  readonly requires?: Requirements;
  /** A condition on the modules at the site, on top of the layout's. */
  readonly accepts?: Accepts<Parts>;
  /** The version that reports show. */
  readonly version?: string;
  /** Constants that the machine decides, with the values to try; forward gets them from `tuned`. */
  readonly tune?: Tune;
  /**
   * What forward writes besides the tensors that it makes: gets forward's arguments and returns those tensors, in
   * arrays and objects as one likes, e.g. `writes: (_x, { cache }) => [cache?.keys, cache?.values]`. Called as a method
   * of the layout, so that a `function` finds parameters in `this`. Any other write is refused.
   */
  readonly writes?: (
    this: NoInfer<[T] extends [never] ? First<Parts> : T>,
    ...args: [...Args]
  ) => unknown;
}

/** A class that has the forward for a site; its `this` is the layout, or the module where there is no layout. */
// A property of function type, not a method: methods are compared bivariantly, and a wrong `this` would pass.
export interface Forward<This, Args extends readonly unknown[], Ret> {
  /** Computes what the modules at the site compute. */
  forward: (this: This, ...args: [...Args]) => Ret;
}

/** What {@linkcode kernel} must also be given where several modules are fused. */
export interface FusionNeedsLayout {
  /** The layout that holds the parameters of all of them. */
  readonly layout: unknown;
}

/** {@linkcode FusionNeedsLayout} for a site of several parts, `unknown` for one (or for a number not known). */
export type LayoutWhereFused<Parts extends readonly unknown[]> = number extends Parts["length"] ? unknown
  : Parts extends readonly [unknown] ? unknown
  : FusionNeedsLayout;

/** `unknown` where the constructor of `K` takes nothing, else a {@linkcode SignatureMismatch}. */
// deno-lint-ignore no-explicit-any -- a constraint, not a type that flows
export type Stateless<K extends new (...args: any[]) => unknown> =
  // Any number: the class did not fit, and stands for its constraint. Then that is the error to show.
  number extends ConstructorParameters<K>["length"] ? unknown
    : ConstructorParameters<K> extends [] ? unknown
    : SignatureMismatch<"a kernel's constructor takes nothing: what a kernel needs is in its layout", []>;

/** The decorator that {@linkcode kernel} returns. */
export type KernelDecorator<This, Args extends readonly unknown[], Ret> =
  // deno-lint-ignore no-explicit-any -- Stateless says it better than a constraint
  <K extends new (...args: any[]) => Forward<This, Args, Ret>>(
    cls: K & Stateless<K>,
    context: ClassDecoratorContext<K>,
  ) => void;

/** A class decorated with {@linkcode kernel}. */
// deno-lint-ignore no-explicit-any -- any kernel
export type KernelClass = new () => { forward: (...args: any[]) => any };

/** What is known of a kernel class. */
export interface KernelDefinition {
  /** The class's name. */
  readonly name: string;
  /** The class. */
  readonly cls: KernelClass;
  /** Where it goes. */
  readonly site: Site;
  /** Its layout, if it has one. */
  readonly layout?: LayoutDefinition;
  /** What it needs. */
  readonly requires: Requirements;
  /** The condition on the modules. */
  readonly accepts?: Accepts<readonly Module[]>;
  /** The version that reports show. */
  readonly version?: string;
  /** Constants that the machine decides. */
  readonly tune?: Tune;
  /** What forward writes besides what it makes, for a call's arguments. */
  readonly writes?: (this: Module, ...args: unknown[]) => unknown;
}

/**
 * Declares a class as a kernel for a site. Its `forward` dispatches shaders; it has no state of its own.
 *
 * @throws at decoration: KW-KERNEL-STATE, KW-SIGNATURE-FORWARD (no forward), KW-SIGNATURE-SITE (another site than
 * the layout's, or a fusion without a layout), KW-KERNEL-OPTION, KW-TUNE-OPTION, KW-DECORATOR.
 *
 * @example
 * ```ts
 * import { dispatch, kernel, replaces, shader, Tensor, tuned, workgroups } from "@kernelwright/sdk";
 * import { SiLU } from "@kernelwright/sdk/nn";
 * import { checkKernel } from "@kernelwright/sdk/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const code = `override SIZE: u32 = 64;
 * @group(0) @binding(0) var<storage, read> x: array<f32>;
 * @group(0) @binding(1) var<storage, read_write> out: array<f32>;
 * @compute @workgroup_size(SIZE) fn main(@builtin(global_invocation_id) id: vec3u) {
 *   if (id.x < arrayLength(&x)) { out[id.x] = x[id.x] / (1 + exp(-x[id.x])); }
 * }`;
 * const silu = shader({ name: "silu.wgsl", code });
 *
 * @kernel({ site: replaces(SiLU), requires: { dtypes: ["f32"] }, tune: { SIZE: [32, 64] } })
 * class FastSiLU { // without parameters; `layout` shows one that has them
 *   forward(this: SiLU, x: Tensor): Tensor {
 *     const { SIZE } = tuned({ SIZE: 64 }); // 64 until `tune` has measured a better one
 *     const out = Tensor.empty(x.shape);
 *     dispatch(silu, { x, out }, { workgroups: workgroups(x.size, SIZE), constants: { SIZE } });
 *     return out;
 *   }
 * }
 * assertEquals(await checkKernel(FastSiLU), new Map());
 * ```
 */
export function kernel<
  Ctor extends readonly unknown[],
  Args extends readonly unknown[],
  Ret,
  Parts extends readonly Module[],
  T extends Layout = never,
>(
  options: KernelOptions<Ctor, Args, Ret, Parts, T> & LayoutWhereFused<Parts>,
): KernelDecorator<[T] extends [never] ? First<Parts> : T, Args, Ret> {
  return (given, context) => {
    checkClassDecorator("@kernel", given, context);
    const cls = given as unknown as KernelClass;
    const name = String(context.name);
    const where = { kernel: name };
    checkOptions("@kernel", options, OPTIONS, where);
    checkOptions("@kernel", options.requires ?? {}, REQUIREMENTS, where, "requirement");
    if (typeof cls.prototype.forward !== "function") {
      raise(
        "KW-SIGNATURE-FORWARD",
        `${name} has no forward method`,
        "Write forward(this: …) in the class body.",
        where,
      );
    }
    const tune = options.tune === undefined ? undefined : checkTune(options.tune, where);
    if (options.writes !== undefined && typeof options.writes !== "function") {
      raise(
        "KW-KERNEL-OPTION",
        `The writes of ${name} is not a function`,
        "Give a function of forward's arguments: writes: (x, context) => context.cache.",
        where,
      );
    }
    const site = checkSite(options.site as Site, where);
    const layout = options.layout &&
      inContext(where, () => layoutDefinition(options.layout as unknown as LayoutDefinition["cls"]));
    if (layout && !sameSite(layout.site, site)) {
      raise(
        "KW-SIGNATURE-SITE",
        `${name} ${describeSite(site)}, and its layout ${layout.name} ${describeSite(layout.site)}`,
        "Write the site once and give it to both.",
        where,
      );
    }
    if (!layout && site.kind !== "replaces") {
      raise(
        "KW-SIGNATURE-SITE",
        `${name} ${describeSite(site)} and names no layout`,
        "A fusion needs a layout that holds its parameters.",
        where,
      );
    }
    // Statics are there only when the whole class has been evaluated.
    context.addInitializer(() => checkStateless(cls, name));
    definitions.set(cls.prototype, {
      name,
      cls,
      site,
      layout,
      requires: options.requires ?? {},
      accepts: options.accepts as Accepts<readonly Module[]> | undefined,
      version: options.version,
      tune,
      writes: options.writes as KernelDefinition["writes"],
    });
  };
}

/**
 * What {@linkcode kernel} recorded for a class.
 *
 * @throws KW-KERNEL-UNDECLARED when the class was not decorated.
 *
 * @example
 * ```ts
 * import { kernel, replaces, type Tensor } from "@kernelwright/sdk";
 * import { kernelDefinition } from "@kernelwright/sdk/inspect";
 * import { ReLU } from "@kernelwright/sdk/nn";
 * import { relu } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * @kernel({ site: replaces(ReLU), version: "1.0.0" })
 * class FastReLU {
 *   forward(this: ReLU, x: Tensor): Tensor {
 *     return relu(x);
 *   }
 * }
 * assertEquals(kernelDefinition(FastReLU).version, "1.0.0");
 * ```
 */
export function kernelDefinition(cls: unknown): KernelDefinition {
  const known = typeof cls === "function" ? definitions.get(cls.prototype) : undefined;
  return known ?? raise(
    "KW-KERNEL-UNDECLARED",
    `${typeof cls === "function" && cls.name ? cls.name : showValue(cls)} is not declared as a kernel`,
    "Decorate the class with @kernel({ site, layout }), and name the kernel, not its layout.",
  );
}

/**
 * Whether a value is a decorated kernel class.
 *
 * @example
 * ```ts
 * import { isKernel } from "@kernelwright/sdk/inspect";
 * import { ReLU } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(isKernel(ReLU), false); // a module, which a kernel may stand for
 * ```
 */
export function isKernel(value: unknown): value is KernelClass {
  return typeof value === "function" && typeof value.prototype === "object" &&
    definitions.has(value.prototype);
}

// ---------------------------------------------------------------------------

const definitions = new WeakMap<object, KernelDefinition>();
const OPTIONS = ["site", "layout", "requires", "accepts", "version", "tune", "writes"];
const REQUIREMENTS = ["features", "limits", "dtypes"];
