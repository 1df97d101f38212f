import { visibleLine } from "../visible.ts";
import { checkArgument, checkFields } from "../arguments.ts";
import { didYouMean, raise } from "../errors.ts";
import type { Module } from "../nn/mod.ts";
import { kernelPlan, kernelReport } from "./kernelize.ts";
import { describeEntry } from "./match/match.ts";
import type { KernelPlan } from "./plan/plan.ts";
import type { KernelReport } from "./report.ts";
import type { Considered } from "./match/select.ts";
import { isBelow } from "./match/tree.ts";

/** Why a module runs what it runs; prints as text. */
export interface Explanation {
  /** The path that was asked about. */
  readonly path: string;
  /** The kernel that runs there; undefined where the original does. */
  readonly kernel?: string;
  /** One sentence on why. */
  readonly reason: string;
  /** Every candidate, and why it was taken or not, in the order in which they were considered. */
  readonly considered: readonly Considered[];
  /** Entries that meant this module and lost to others. */
  readonly shadowed: readonly string[];
  /** All of it as text. */
  toString(): string;
}

/**
 * Explains what became of one module when its model was kernelized.
 *
 * @param path The module's path in the model without kernels.
 * @throws KW-EXPLAIN-PATH when the model has no such module.
 *
 * @example
 * ```ts
 * import { kernel, kernelize, Layout, layout, Module } from "@kernelwright/sdk";
 * import { openGpu, parameter, rename, replaces, Tensor } from "@kernelwright/sdk";
 * import { replace } from "@kernelwright/sdk/config";
 * import { explain, kernelConfig, kernelPlan, siteConversions } from "@kernelwright/sdk/inspect";
 * import { RMSNorm } from "@kernelwright/sdk/nn";
 * import { rmsNorm } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * const site = replaces(RMSNorm);
 * @layout({ site, conversions: [rename("weight", "scale")] })
 * class FastNormLayout extends Layout {
 *   constructor(readonly hidden_size: number, readonly eps = 1e-6) {
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
 * class Model extends Module {
 *   norm = new RMSNorm(4);
 *   override forward(x: Tensor): Tensor {
 *     return this.norm.call(x);
 *   }
 * }
 *
 * await openGpu();
 * const model = new Model();
 * const config = { kernels: [replace("RMSNorm", FastNorm)] };
 * await kernelize(model, config, { inputs: [Tensor.empty([1, 4], { device: "meta" })] });
 * assertEquals(explain(model, "norm").kernel, "FastNorm");
 * assertEquals(kernelPlan(model)?.sites.length, 1);
 * assertEquals(kernelConfig(model)?.config, config);
 * assertEquals(siteConversions(model).map((s) => [s.site, s.kernel]), [["norm", "FastNorm"]]);
 * ```
 */
export function explain(model: Module, path: string): Explanation {
  const [plan, report] = [kernelPlan(model), kernelReport(model)];
  if (!plan || !report) {
    return explanation({ path, reason: "the model has no kernels: kernelize was not called, or was undone" });
  }
  return explainPlan({ plan, report }, path);
}

/**
 * {@linkcode explain} for a plan: what would become of a module.
 *
 * See the example of {@linkcode planKernelize}.
 *
 * @param planned What `planKernelize` returned.
 * @throws KW-EXPLAIN-PATH when the plan's model has no such module.
 */
export function explainPlan(
  planned: { readonly plan: KernelPlan; readonly report: KernelReport },
  path: string,
): Explanation {
  checkFields("explainPlan(): planned", planned, { plan: "an object", report: "an object" });
  checkFields("explainPlan(): planned.plan", planned.plan, {
    tree: "an object",
    sites: "an array",
    shadowed: "an array",
  });
  checkArgument("explainPlan(): path", path, "a string");
  const { plan, report } = planned;
  const node = plan.tree.nodes.find((n) => n.path === path) ?? raise(
    "KW-EXPLAIN-PATH",
    `Cannot explain ${JSON.stringify(path)}: the model has no such module`,
    didYouMean(path, plan.tree.nodes.map((n) => n.path)),
  );
  const shadowed = plan.shadowed.filter(({ site }) => site.nodes.includes(node)).map(({ site, by }) =>
    `${describeEntry(site.entry, site.index)} gives way to ${describeEntry(by.entry, by.index)}`
  );
  const site = report.at(path);
  if (site) {
    const { kernel, reason, considered } = site;
    const others = site.paths.filter((p) => p !== path);
    const together = kernel && others.length > 0
      ? `, fused with ${others.map((p) => `"${p}"`).join(", ")}`
      : "";
    return explanation({ path, kernel, reason: reason + together, considered, shadowed });
  }
  const outer = plan.sites.find((s) => isBelow(node, s.nodes));
  if (outer) {
    return explanation({
      path,
      kernel: outer.kernel.name,
      reason: `it lies inside the site ${outer.nodes.map((n) => `"${n.path}"`).join(" + ")}`,
      shadowed,
    });
  }
  const reason = node.name === undefined
    ? `${node.module.constructor.name} is not marked as a layer, so no entry can name it`
    : `no entry means ${node.name} here`;
  return explanation({ path, reason, shadowed });
}

// ---------------------------------------------------------------------------

function explanation(
  known: Pick<Explanation, "path" | "reason"> & Partial<Explanation>,
): Explanation {
  const full = { considered: [], shadowed: [], ...known };
  // Not enumerable: what remains is plain data.
  return Object.defineProperty(full, "toString", { value: () => draw(full) }) as Explanation;
}

function draw({ path, kernel, reason, considered, shadowed }: Omit<Explanation, "toString">): string {
  return [
    `"${path}" runs ${kernel ?? "the original"}: ${reason}`,
    ...considered.map((c) => `  ${c.taken ? "taken" : "not  "}  ${c.kernel}: ${c.why}`),
    ...shadowed.map((s) => `  note   ${s}`),
  ].map(visibleLine).join("\n");
}
