import { showValue } from "../arguments.ts";
import { checkClassDecorator } from "../decorator.ts";
import { didYouMean, raise } from "../errors.ts";
import type { Module } from "../nn/mod.ts";
import type { ConversionRule } from "./conversions/mod.ts";
import { Layout } from "./layout.ts";
import { checkOptions } from "./options.ts";
import type { SignatureMismatch } from "./signature_mismatch.ts";
import { checkSite, describeSite, type Site } from "./site.ts";

/** A condition on the modules at a site: true, or false, or the reason why not. */
export type Accepts<Parts extends readonly Module[]> = (...parts: [...Parts]) => boolean | string;

/**
 * Conversions that depend on the modules at a site: on a bias that some have, on the size of a head. The conversions
 * of a bundle are part of its description, so where a list will do, give a list.
 */
export type ConversionsOf<Parts extends readonly Module[]> = (
  ...parts: [...Parts]
) => readonly ConversionRule[];

/** What {@linkcode layout} takes. */
export interface LayoutOptions<
  Ctor extends readonly unknown[],
  Args extends readonly unknown[],
  Ret,
  Parts extends readonly Module[],
> {
  /** Where the layout goes. */
  readonly site: Site<Ctor, Args, Ret, Parts>;
  /**
   * How the original's parameters become the layout's. Sources are relative to the parts (`mlp.up_proj.weight`; for
   * `replaces`, to the module: `weight`), targets to the layout. Left out: the same names, unchanged. A function gets
   * the modules at the site.
   */
  readonly conversions?: readonly ConversionRule[] | ConversionsOf<Parts>;
  /** Sources that the kernel does not need. They cannot be saved again, so a model with drops is not saved. */
  readonly drops?: readonly string[];
  /** A condition on the modules at the site. */
  readonly accepts?: Accepts<Parts>;
}

/** What is known of a layout class. */
export interface LayoutDefinition {
  /** The class's name. */
  readonly name: string;
  /** The class. */
  readonly cls: new (...args: unknown[]) => Layout;
  /** Where it goes. */
  readonly site: Site;
  /** Its conversions, or what they are for the modules at a site; undefined means the same names, unchanged. */
  readonly conversions?: readonly ConversionRule[] | ConversionsOf<readonly Module[]>;
  /** Sources that are not needed. */
  readonly drops: readonly string[];
  /** The condition on the modules. */
  readonly accepts?: Accepts<readonly Module[]>;
}

/** `unknown` where the constructor of `L` takes exactly `C`, else a {@linkcode SignatureMismatch}. */
// deno-lint-ignore no-explicit-any -- a constraint, not a type that flows
export type Exact<L extends abstract new (...args: any[]) => unknown, C extends readonly unknown[]> =
  // No layout: the class stands for its constraint, and that is the error to show.
  [number, Layout] extends [ConstructorParameters<L>["length"], InstanceType<L>] ? unknown
    : ConstructorParameters<L> extends C ? C extends ConstructorParameters<L> ? unknown
      : SignatureMismatch<"the layout's constructor must take exactly these parameters", C>
    : SignatureMismatch<"the layout's constructor must take exactly these parameters", C>;

/** The decorator that {@linkcode layout} returns. */
export type LayoutDecorator<Ctor extends readonly unknown[]> =
  // deno-lint-ignore no-explicit-any -- a constraint, not a type that flows
  <L extends abstract new (...args: any[]) => Layout>(
    cls: L & Exact<L, Ctor>,
    context: ClassDecoratorContext<L>,
  ) => void;

/**
 * Declares a class as the layout for a site.
 *
 * @throws at decoration: KW-SIGNATURE-SITE (no site), KW-KERNEL-OPTION, KW-SIGNATURE-LAYOUT (not a layout), KW-SIGNATURE-ARITY (a fusion's constructor does not
 * take each part), KW-CONVERT-SOURCE and KW-CONVERT-TWICE (conversions that cannot be right for any model).
 *
 * @example
 * ```ts
 * import { kernel, Layout, layout, parameter, rename, replaces, type Tensor } from "@kernelwright/sdk";
 * import { RMSNorm } from "@kernelwright/sdk/nn";
 * import { rmsNorm } from "@kernelwright/sdk/ops";
 *
 * const site = replaces(RMSNorm);
 * @layout({ site, conversions: [rename("weight", "scale")] })
 * class FastNormLayout extends Layout {
 *   constructor(readonly hidden_size: number, readonly eps = 1e-6) { // what RMSNorm's constructor takes
 *     super();
 *     this.scale = parameter([hidden_size]);
 *   }
 *   scale;
 * }
 * @kernel({ site, layout: FastNormLayout })
 * class FastNorm {
 *   forward(this: FastNormLayout, x: Tensor): Tensor {
 *     return rmsNorm(x, this.scale, this.eps);
 *   }
 * }
 * console.log(FastNorm.name);
 * ```
 */
export function layout<
  Ctor extends readonly unknown[],
  Args extends readonly unknown[],
  Ret,
  Parts extends readonly Module[],
>(
  options: LayoutOptions<Ctor, Args, Ret, Parts>,
): LayoutDecorator<Ctor> {
  return (given, context) => {
    checkClassDecorator("@layout", given, context);
    const cls = given as unknown as LayoutDefinition["cls"];
    const name = String(context.name);
    const where = { kernel: name };
    checkOptions("@layout", options, OPTIONS, where);
    const site = checkSite(options.site as Site, where);
    if (!(cls.prototype instanceof Layout)) {
      raise(
        "KW-SIGNATURE-LAYOUT",
        `${name} does not extend Layout`,
        `Write class ${name} extends Layout.`,
        where,
      );
    }
    const count = site.parts.length;
    if (site.kind !== "replaces" && cls.length !== count) {
      const wanted = site.parts.map((p) => `${p.name}: ${p.cls.name}`).join(", ");
      raise(
        "KW-SIGNATURE-ARITY",
        `The constructor of ${name} takes ${cls.length} parameter${
          cls.length === 1 ? "" : "s"
        }; the site has ${count} parts`,
        `Write constructor(${wanted}), without defaults.`,
        where,
      );
    }
    // What a function gives is checked when there are modules to give it.
    const rules = typeof options.conversions === "function" ? [] : options.conversions ?? [];
    checkRules(site, rules, options.drops ?? [], where);
    definitions.set(cls.prototype, {
      name,
      cls,
      site,
      conversions: options.conversions as LayoutDefinition["conversions"],
      drops: options.drops ?? [],
      accepts: options.accepts as Accepts<readonly Module[]> | undefined,
    });
  };
}

/**
 * What {@linkcode layout} recorded for a class.
 *
 * @throws KW-SIGNATURE-LAYOUT when the class was not decorated.
 */
export function layoutDefinition(cls: abstract new (...args: never[]) => unknown): LayoutDefinition {
  return (typeof cls === "function" ? definitions.get(cls.prototype) : undefined) ??
    raise(
      "KW-SIGNATURE-LAYOUT",
      `${typeof cls === "function" ? cls.name : showValue(cls)} is not declared as a layout`,
      "Decorate it with @layout({ site, conversions }).",
    );
}

// ---------------------------------------------------------------------------

const definitions = new WeakMap<object, LayoutDefinition>();
const OPTIONS = ["site", "conversions", "drops", "accepts"];

function checkRules(
  site: Site,
  rules: readonly ConversionRule[],
  drops: readonly string[],
  where: { kernel: string },
): void {
  const parts = site.parts.map((p) => p.name);
  const sources = [...rules.flatMap((r) => r.from), ...drops];
  for (const source of sources) {
    const part = source.split(".")[0];
    if (site.kind !== "replaces" && !parts.includes(part)) {
      raise(
        "KW-CONVERT-SOURCE",
        `The conversion source "${source}" begins with no part of the site (${describeSite(site)})`,
        didYouMean(part, parts),
        where,
      );
    }
  }
  const twice = (names: readonly string[]) => names.find((n, i) => names.indexOf(n) !== i);
  const target = twice(rules.flatMap((r) => r.to));
  if (target !== undefined) {
    raise(
      "KW-CONVERT-TWICE",
      `Two conversions produce "${target}"`,
      "Produce each parameter exactly once.",
      where,
    );
  }
  const source = twice(sources);
  if (source !== undefined) {
    raise(
      "KW-CONVERT-TWICE",
      `Two conversions read "${source}"`,
      "Read each source once; split it with split() or chunk().",
      where,
    );
  }
}
