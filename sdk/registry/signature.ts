/** The signature proof for code that nobody has run yet: `kernel.json` against the model, then against the code. */
import { describeSite, type KernelDefinition } from "../authoring/mod.ts";
import { didYouMean, raise, type Where } from "../errors.ts";
import type { RefPurpose } from "../kernelize/mod.ts";
import { constructorArguments, layerName, layerNameOfClass, type Module } from "../nn/mod.ts";
import type { ManifestKernel } from "./manifest.ts";

/**
 * Checks a manifest's kernel against the model and the config's entries, before its code is imported.
 *
 * @throws KW-REF-SIGNATURE
 */
export function checkAgainstModel(
  kernel: ManifestKernel,
  ref: string,
  { modules, config }: RefPurpose,
): void {
  const where: Where = { file: ref };
  const layers = new Set(modules.map(layerName).filter((n) => n !== undefined));
  for (const { layer } of kernel.parts) {
    if (layers.has(layer)) continue;
    raise(
      "KW-REF-SIGNATURE",
      `The kernel is for ${layer}, and the model has none`,
      didYouMean(layer, layers),
      where,
    );
  }
  for (const entry of config?.kernels ?? []) {
    if (!("with" in entry) || !JSON.stringify(entry.with ?? "").includes(JSON.stringify(ref))) continue;
    const [kind, names] = "replace" in entry
      ? ["replaces", [entry.replace]]
      : "fuse" in entry
      ? ["fuses", entry.fuse.map(nameOf)]
      : "fuseParallel" in entry
      ? ["fusesParallel", entry.fuseParallel.map(nameOf)]
      : ["", []];
    const parts = kernel.parts.map((p) => p.layer);
    if (kind !== kernel.kind || names.join() !== parts.join()) {
      raise(
        "KW-REF-SIGNATURE",
        `The entry ${kind} ${names.join(", ")}, and the kernel ${kernel.kind} ${parts.join(", ")}`,
        "Change the entry, or choose another kernel.",
        where,
      );
    }
  }
  if (kernel.kind === "replaces" && kernel.layout) checkArguments(kernel, modules, where);
  if (
    kernel.kind !== "replaces" && kernel.layout && kernel.layout.constructor.length !== kernel.parts.length
  ) {
    raise(
      "KW-REF-SIGNATURE",
      `The layout takes ${kernel.layout.constructor.length} parameters, and the site has ${kernel.parts.length} parts`,
      undefined,
      where,
    );
  }
}

/**
 * Checks that the code is what its manifest says.
 *
 * @throws KW-REF-SIGNATURE
 */
export function checkAgainstCode(kernel: ManifestKernel, definition: KernelDefinition, ref: string): void {
  const said = `${kernel.kind} ${kernel.parts.map((p) => p.layer).join(", ")}`;
  const { site, layout } = definition;
  const is = `${site.kind} ${site.parts.map((p) => layerNameOfClass(p.cls) ?? p.cls.name).join(", ")}`;
  const lie = said !== is
    ? `kernel.json says that ${definition.name} ${said}, and its code ${describeSite(site)}`
    : kernel.layout?.name !== layout?.name
    ? `kernel.json says that its layout is ${kernel.layout?.name ?? "none"}, and its code ${
      layout?.name ?? "none"
    }`
    : JSON.stringify(sorted(kernel.requires)) !== JSON.stringify(sorted(definition.requires))
    ? `kernel.json says that it requires ${JSON.stringify(kernel.requires)}, and its code ${
      JSON.stringify(definition.requires)
    }`
    : undefined;
  if (lie) raise("KW-REF-SIGNATURE", lie, "Do not use it; tell its publisher.", { file: ref });
}

// ---------------------------------------------------------------------------

function checkArguments(kernel: ManifestKernel, modules: readonly Module[], where: Where): void {
  const takes = kernel.layout!.constructor;
  const needed = takes.filter((p) => !p.optional).length;
  for (const module of modules.filter((m) => layerName(m) === kernel.parts[0].layer)) {
    const given = constructorArguments(module)?.length;
    if (given === undefined || (given >= needed && given <= takes.length)) continue;
    raise(
      "KW-REF-SIGNATURE",
      `A ${kernel.parts[0].layer} of the model was built with ${given} arguments, and the layout takes ${
        takes.map((p) => p.name + (p.optional ? "?" : "")).join(", ")
      }`,
      undefined,
      where,
    );
  }
}

function nameOf(part: string | readonly [string, unknown]): string {
  return typeof part === "string" ? part : part[0];
}

function sorted(value: object): [string, unknown][] {
  return Object.entries(value).filter(([, v]) => v !== undefined).sort(([a], [b]) => a < b ? -1 : 1);
}
