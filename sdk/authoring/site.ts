import { refuseArgument } from "../arguments.ts";
import { raise } from "../errors.ts";
import type { Module, ModuleClass } from "../nn/mod.ts";
import type { SignatureMismatch } from "./signature_mismatch.ts";

/** How a kernel relates to the modules at its site. */
export type SiteKind = "replaces" | "fuses" | "fusesParallel";

/** One of the modules that a site is made of. */
export interface SitePart {
  /** The name under which conversions speak of it; empty for `replaces`. */
  readonly name: string;
  /** Its class. */
  readonly cls: ModuleClass;
}

/** A site without its types. */
export interface AnySite {
  /** How the kernel relates to the modules. */
  readonly kind: SiteKind;
  /** The modules. */
  readonly parts: readonly SitePart[];
}

/**
 * Where a kernel goes, written once; it carries the types of everything that must fit.
 *
 * @typeParam Ctor What the layout's constructor takes.
 * @typeParam Args What the kernel's forward takes.
 * @typeParam Ret What the kernel's forward returns.
 * @typeParam Parts The instances of the modules at the site.
 */
export interface Site<
  Ctor extends readonly unknown[] = readonly unknown[],
  Args extends readonly unknown[] = readonly unknown[],
  Ret = unknown,
  Parts extends readonly Module[] = readonly Module[],
> extends AnySite {
  // Only types: nothing is there at run time.
  /** The layout's constructor. */
  readonly _constructor?: (...args: [...Ctor]) => void;
  /** The kernel's forward. */
  readonly _forward?: (...args: [...Args]) => Ret;
  /** The instances. */
  readonly _parts?: (...parts: [...Parts]) => void;
}

/** A part as `fuses` takes it: one name and a class, `{ norm: RMSNorm }`. */
export type Part = Readonly<Record<string, ModuleClass>>;

/** Each part as it is where it has one name, else a {@linkcode SignatureMismatch}. */
export type OneNameEach<T extends readonly Part[]> = {
  [K in keyof T]: [keyof T[K]] extends [OnlyOne<keyof T[K]>] ? T[K]
    : SignatureMismatch<"a part is one name and its class", { readonly name: ModuleClass }>;
};

/** `K` where it is one key, `never` where it is several. */
export type OnlyOne<K, Each = K> = K extends unknown ? [Each] extends [K] ? K : never : never;

/** The class in a {@linkcode Part}. */
export type PartClass<P> = P[keyof P] extends ModuleClass ? P[keyof P] : never;

/** The instances of parts, as a tuple. */
export type PartInstances<T extends readonly Part[]> = {
  -readonly [K in keyof T]: InstanceType<PartClass<T[K]>>;
};

/** What the forward of each part returns, as a tuple. */
export type PartResults<T extends readonly Part[]> = {
  -readonly [K in keyof T]: ForwardOf<InstanceType<PartClass<T[K]>>>["result"];
};

/** Arguments and result of a module's forward. */
export type ForwardOf<M> = M extends { forward: (...args: infer A) => infer R } ? { args: A; result: R }
  : never;

/** The first of a tuple. */
export type First<T extends readonly unknown[]> = T extends readonly [infer F, ...unknown[]] ? F : never;

/** The last of a tuple. */
export type Last<T extends readonly unknown[]> = T extends readonly [...unknown[], infer L] ? L : never;

/** The site of a {@linkcode replaces}. */
export type ReplaceSite<M extends ModuleClass> = Site<
  ConstructorParameters<M>,
  ForwardOf<InstanceType<M>>["args"],
  ForwardOf<InstanceType<M>>["result"],
  [InstanceType<M>]
>;

/** The site of a {@linkcode fuses}. */
export type FuseSite<T extends readonly Part[]> = Site<
  PartInstances<T>,
  ForwardOf<InstanceType<PartClass<First<T>>>>["args"],
  ForwardOf<InstanceType<PartClass<Last<T>>>>["result"],
  PartInstances<T>
>;

/** The site of a {@linkcode fusesParallel}. */
export type ParallelSite<T extends readonly Part[]> = Site<
  PartInstances<T>,
  ForwardOf<InstanceType<PartClass<First<T>>>>["args"],
  PartResults<T>,
  PartInstances<T>
>;

/**
 * One module: the layout's constructor takes what the module's takes, and so does forward.
 * See the example of {@linkcode kernel}.
 *
 * @throws KW-SIGNATURE-SITE when `cls` is not a module class.
 */
export function replaces<M extends ModuleClass>(cls: M): ReplaceSite<M> {
  return make("replaces", [{ "": cls }]);
}

/**
 * A chain: each module feeds the next one. The layout's constructor takes the instances; forward takes what the
 * first one's takes and returns what the last one's returns.
 *
 * @throws KW-SIGNATURE-SITE
 *
 * @example
 * ```ts
 * import { fuses, fusesParallel } from "@kernelwright/sdk";
 * import { describeSite } from "@kernelwright/sdk/inspect";
 * import { Linear, LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * const chain = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });
 * assertEquals(describeSite(chain), "fuses norm: RMSNorm → mlp: LlamaMLP");
 * const siblings = fusesParallel({ q: Linear }, { k: Linear }, { v: Linear });
 * assertEquals(describeSite(siblings), "fusesParallel q: Linear, k: Linear, v: Linear");
 * ```
 */
export function fuses<const T extends readonly [Part, Part, ...Part[]]>(
  ...parts: T & OneNameEach<T>
): FuseSite<T> {
  return make("fuses", parts);
}

/**
 * Modules that are fed the same input. The layout's constructor takes the instances; forward takes what the first
 * one's takes and returns a tuple with each one's result.
 * See the example of {@linkcode fuses}.
 *
 * @throws KW-SIGNATURE-SITE
 */
export function fusesParallel<const T extends readonly [Part, Part, ...Part[]]>(
  ...parts: T & OneNameEach<T>
): ParallelSite<T> {
  return make("fusesParallel", parts);
}

/**
 * `replaces RMSNorm`, `fuses norm: RMSNorm → mlp: LlamaMLP`: for messages and kernel.json.
 *
 * @example
 * ```ts
 * import { replaces } from "@kernelwright/sdk";
 * import { describeSite } from "@kernelwright/sdk/inspect";
 * import { ReLU } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(describeSite(replaces(ReLU)), "replaces ReLU");
 * ```
 */
export function describeSite(site: AnySite): string {
  checkIsSite("describeSite(): site", site);
  const parts = site.parts.map((p) => (p.name ? `${p.name}: ` : "") + p.cls.name);
  return `${site.kind} ${parts.join(site.kind === "fuses" ? " → " : ", ")}`;
}

/**
 * Returns the site that a decorator was given.
 *
 * @throws KW-SIGNATURE-SITE when it is none.
 */
export function checkSite(site: Site | undefined, where: { readonly kernel: string }): Site {
  if (site !== undefined && sites.has(site)) return site;
  return raise(
    "KW-SIGNATURE-SITE",
    `${where.kernel} names no site`,
    "Give { site: replaces(…) }, fuses(…) or fusesParallel(…).",
    where,
  );
}

/**
 * Whether two sites are the same: same kind, names and classes.
 *
 * @example
 * ```ts
 * import { replaces } from "@kernelwright/sdk";
 * import { sameSite } from "@kernelwright/sdk/inspect";
 * import { GELU, ReLU } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(sameSite(replaces(ReLU), replaces(ReLU)), true);
 * assertEquals(sameSite(replaces(ReLU), replaces(GELU)), false);
 * ```
 */
export function sameSite(a: AnySite, b: AnySite): boolean {
  checkIsSite("sameSite(): a", a);
  checkIsSite("sameSite(): b", b);
  return a === b || (a.kind === b.kind && a.parts.length === b.parts.length &&
    a.parts.every((p, i) => p.name === b.parts[i].name && p.cls === b.parts[i].cls));
}

// ---------------------------------------------------------------------------

const sites = new WeakSet<object>();

function checkIsSite(at: string, site: AnySite): void {
  if (!sites.has(site)) refuseArgument(at, site, "what replaces(), fuses() or fusesParallel() gave");
}

// deno-lint-ignore no-explicit-any -- the public functions above carry the types
function make(kind: SiteKind, given: readonly Part[]): Site<any, any, any, any> {
  const parts = given.map((part): SitePart => {
    const entries = Object.entries(part ?? {});
    const [name, cls] = entries[0] ?? [];
    if (
      entries.length !== 1 || typeof cls !== "function" ||
      (kind !== "replaces" && !/^[A-Za-z_]\w*$/.test(name!))
    ) {
      raise(
        "KW-SIGNATURE-SITE",
        `Cannot make a site from ${JSON.stringify(Object.keys(part ?? {}))}`,
        "Give one name and a module class for each part: { norm: RMSNorm }.",
      );
    }
    return { name: name!, cls };
  });
  const names = parts.map((p) => p.name);
  const twice = names.find((n, i) => names.indexOf(n) !== i);
  if (twice !== undefined || (kind !== "replaces" && parts.length < 2)) {
    raise(
      "KW-SIGNATURE-SITE",
      twice === undefined ? `${kind} takes two parts or more` : `Two parts are called "${twice}"`,
      twice === undefined ? "Use replaces(…) for one module." : "Give each part a name of its own.",
    );
  }
  const site = Object.freeze({ kind, parts: Object.freeze(parts) });
  sites.add(site);
  return site;
}
