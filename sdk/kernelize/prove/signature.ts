/** The proof at application: the modules that were matched are those that the kernel was written for. */
import { describeSite, type KernelDefinition, type Layout } from "../../authoring/mod.ts";
import { KernelwrightError, raise } from "../../errors.ts";
import { constructorArguments } from "../../nn/mod.ts";
import type { MatchedSite } from "../match/match.ts";

/**
 * Checks that a kernel fits the modules of a site.
 *
 * @throws KW-SIGNATURE-SITE (another kind of site), KW-SIGNATURE-ARITY (another number of parts),
 * KW-SIGNATURE-CLASS (an instance of another class).
 */
export function checkInstances(site: MatchedSite, kernel: KernelDefinition): void {
  if (kernel.site.kind !== site.kind) {
    raise(
      "KW-SIGNATURE-SITE",
      `${kernel.name} ${describeSite(kernel.site)}, and the entry ${site.kind} ${site.nodes.length} module${
        site.nodes.length > 1 ? "s" : ""
      }`,
      `Use ${
        kernel.site.kind === "replaces" ? "replace" : kernel.site.kind === "fuses" ? "fuse" : "fuseParallel"
      } for this kernel.`,
    );
  }
  const { parts } = kernel.site;
  if (parts.length !== site.nodes.length) {
    raise(
      "KW-SIGNATURE-ARITY",
      `${kernel.name} takes ${parts.length} parts (${
        describeSite(kernel.site)
      }), and the entry names ${site.nodes.length}`,
      `Name ${parts.map((p) => p.cls.name).join(", ")}, in this order.`,
    );
  }
  site.nodes.forEach((node, i) => {
    const wanted = parts[i].cls;
    // A subclass computes something of its own: Gemma's norm adds one to the weight.
    if (Object.getPrototypeOf(node.module) === wanted.prototype) return;
    const kin = node.module instanceof wanted ? `a subclass of ${wanted.name}` : `no ${wanted.name}`;
    raise(
      "KW-SIGNATURE-CLASS",
      `${kernel.name} is written for ${wanted.name}, and "${node.path}" is ${node.module.constructor.name}, ${kin}`,
      "Write a kernel for that class.",
    );
  });
}

/**
 * Builds a kernel's layout on meta: from the arguments that the replaced module was built with, or from the modules
 * that it fuses.
 *
 * @throws KW-SIGNATURE-ARGUMENTS, KW-LAYOUT-CONSTRUCT.
 */
export function buildLayout(site: MatchedSite, kernel: KernelDefinition): Layout | undefined {
  const definition = kernel.layout;
  if (!definition) return undefined;
  const modules = site.nodes.map((n) => n.module);
  const args = kernel.site.kind === "replaces" ? constructorArguments(modules[0]) : modules;
  if (!args) {
    raise(
      "KW-SIGNATURE-ARGUMENTS",
      `The arguments that "${site.nodes[0].path}" was built with are not known`,
      `Decorate ${modules[0].constructor.name} with @layer, or give makeReplaceable an argumentsOf.`,
    );
  }
  try {
    const layout = new definition.cls(...args);
    layout.train(modules[0].training);
    return layout;
  } catch (cause) {
    if (cause instanceof KernelwrightError) throw cause;
    raise(
      "KW-LAYOUT-CONSTRUCT",
      `The constructor of ${definition.name} failed: ${String(cause)}`,
      "It is run on meta, with what the original was built with: nothing has values yet.",
      undefined,
      cause,
    );
  }
}
