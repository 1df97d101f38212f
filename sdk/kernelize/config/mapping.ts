/**
 * Kernels by layer name, for every model that is kernelized without a config of its own:
 *
 *   registerKernelMapping({ RMSNorm: A })            everywhere
 *   └─ useKernelMapping({ RMSNorm: B }, …, fn)       in fn and all that it awaits
 *      └─ useKernelMapping({ SiluAndMul: C }, …)     B and C; with inherit: false only C
 *
 * A mapping changes no model: it is looked at when kernelize is called, and only there.
 */
import { checkArgument } from "../../arguments.ts";
import { KernelwrightError, raise } from "../../errors.ts";
import { openStorage } from "../../host/mod.ts";
import { type KernelChoice, parseKernelConfig, replace } from "./config.ts";

/** Kernels by layer name; `null` keeps the originals. */
export type KernelMapping = Readonly<Record<string, KernelChoice | null>>;

/** How a mapping relates to those around it. */
export interface MappingOptions {
  /** Whether names that this one does not have are looked up in those around it; defaults to true. */
  readonly inherit?: boolean;
}

/**
 * Runs `fn` with a mapping: a `kernelize(model)` inside, also after an `await`, uses it. What runs beside `fn` does
 * not see it.
 *
 * @returns What `fn` returns.
 * @throws KW-CONFIG-KERNELS when the mapping is malformed.
 *
 * @example
 * ```ts
 * import { kernelize, type Module } from "@kernelwright/sdk";
 * import { kernelMapping, useKernelMapping } from "@kernelwright/sdk/config";
 * import { assertEquals } from "@std/assert";
 *
 * const mapping = { RMSNorm: "./fast-norm:FastNorm" };
 * async function makeFast(model: Module): Promise<void> {
 *   await useKernelMapping(mapping, { inherit: false }, () => kernelize(model));
 * }
 * console.log(makeFast.name);
 * assertEquals(useKernelMapping(mapping, {}, () => kernelMapping()), mapping);
 * ```
 */
export function useKernelMapping<T>(mapping: KernelMapping, options: MappingOptions, fn: () => T): T {
  checkMapping(mapping, options);
  checkArgument("useKernelMapping(): fn", fn, "a function");
  const around = options.inherit ?? true ? kernelMapping() : {};
  return scopes().run({ ...around, ...mapping }, fn);
}

/**
 * Adds a mapping to what holds everywhere. With `inherit: false` it takes the place of those registered before.
 *
 * @returns Takes it out again.
 * @throws KW-CONFIG-KERNELS when the mapping is malformed.
 *
 * @example
 * ```ts
 * import { kernelMapping, registerKernelMapping } from "@kernelwright/sdk/config";
 * import { assertEquals } from "@std/assert";
 *
 * const takeOut = registerKernelMapping({ RMSNorm: "./fast-norm:FastNorm" });
 * assertEquals(kernelMapping(), { RMSNorm: "./fast-norm:FastNorm" }); // what kernelize(model) uses now
 * takeOut();
 * assertEquals(kernelMapping(), {});
 * ```
 */
export function registerKernelMapping(mapping: KernelMapping, options: MappingOptions = {}): () => void {
  checkMapping(mapping, options);
  const entry = { mapping, inherit: options.inherit ?? true };
  registered.push(entry);
  return () => {
    const at = registered.indexOf(entry);
    if (at >= 0) registered.splice(at, 1);
  };
}

/**
 * The mapping that a `kernelize(model)` called here would use.
 *
 * See the example of {@linkcode registerKernelMapping}.
 */
export function kernelMapping(): KernelMapping {
  return scopes().getStore() ?? registered.reduce<KernelMapping>(
    (all, { mapping, inherit }) => ({ ...inherit ? all : {}, ...mapping }),
    {},
  );
}

/** `fn` with the mapping that holds here. It runs later, and pages carry no mapping there. */
export function withMappingOfNow<T>(fn: () => T): () => T {
  const mapping = scopes().getStore();
  return mapping ? () => scopes().run(mapping, fn) : fn;
}

// ---------------------------------------------------------------------------

const registered: { readonly mapping: KernelMapping; readonly inherit: boolean }[] = [];

const scopes = openStorage<KernelMapping>();

function checkMapping(mapping: KernelMapping, options: MappingOptions): void {
  checkArgument("a kernel mapping", mapping, "an object");
  checkArgument("a kernel mapping's options", options, "an object");
  for (const [name, choice] of Object.entries(mapping)) {
    if (choice === null) continue;
    try {
      parseKernelConfig({ kernels: [replace(name, choice)] });
    } catch (error) {
      if (!(error instanceof KernelwrightError)) throw error;
      raise(
        "KW-CONFIG-KERNELS",
        `Cannot use the kernel mapping: ${error.diagnostic.what.replaceAll("kernels[0].with", name)}`,
        "A mapping is { LayerName: kernel }; null keeps the originals.",
      );
    }
  }
}
