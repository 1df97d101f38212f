/** The TypeScript that `new-kernel` writes: a layout that mirrors the modules' parameters, and a kernel over it. */
import { largestOf } from "../../extremes.ts";
import type { ClassFacts, ParameterFact } from "./module_facts.ts";
import type { Stage } from "./stages.ts";

/** What is to be written. */
export interface KernelPlanText {
  /** The kernel's class. */
  readonly name: string;
  /** How it relates to the modules. */
  readonly kind: "replaces" | "fuses" | "fusesParallel";
  /** Whether only forward is swapped. */
  readonly forwardOnly: boolean;
  /** The modules. */
  readonly parts: readonly PartText[];
  /** What is known of the first module's source. */
  readonly facts: ClassFacts;
}

/** A module at the site. */
export interface PartText {
  /** Its name at the site. */
  readonly name: string;
  /** How it is computed. */
  readonly stage: Stage;
  /** Its parameters, read off an instance. */
  readonly parameters: readonly string[];
}

/** `layout.ts`; nothing where only forward is swapped. */
export function layoutSource(plan: KernelPlanText): string | undefined {
  if (plan.forwardOnly) return undefined;
  const { name, kind, parts } = plan;
  const one = kind === "replaces";
  const fields = parts.flatMap((p) => p.stage.fields.map((f) => ({ p, f })));
  const parameters = parts.flatMap((p) => kept(plan, p).map((path) => ({ p, path })));
  const renames = parameters.filter(({ p, path }) => property(plan, p, path) !== path || !one)
    .map(({ p, path }) =>
      `rename(${quote(one ? path : `${p.name}.${path}`)}, ${quote(property(plan, p, path))})`
    );
  // For one module, no conversions at all means the same names, unchanged.
  const conversions = renames.length === 0 || (one && renames.length < parameters.length)
    ? undefined
    : `conversions: [${renames.join(", ")}],`;
  const source = (p: PartText) => one ? "original" : p.name;
  const accepts = acceptsSource(plan);
  const classes = [...new Set(parts.map((p) => p.stage.module))].sort();
  const imports = ["Layout", "layout", ...(parameters.length ? ["parameter", "type Parameter"] : []), kind]
    .concat(conversions ? ["rename"] : []).sort((a, b) =>
      a.replace("type ", "").localeCompare(b.replace("type ", ""))
    );
  return `import { ${imports.join(", ")} } from "@kernelwright/sdk";
import { ${classes.join(", ")} } from "@kernelwright/sdk/nn";

/** Where the kernel goes. */
export const site = ${siteSource(plan)};

/** The parameters as the kernel reads them; so far, as the modules have them. */
@layout({
  site,
  ${[conversions, accepts].filter(Boolean).join("\n  ")}
})
export class ${name}Layout extends Layout {
${
    parameters.map(({ p, path }) =>
      `  /** \`${one ? path : `${p.name}.${path}`}\`. */\n  ${property(plan, p, path)}${
        optional(plan, p, path) ? "?" : ""
      }: Parameter;`
    ).join("\n")
  }
${
    fields.map(({ p, f }) =>
      `  /** \`${one ? f : `${p.name}.${f}`}\`. */\n  readonly ${property(plan, p, f)}: number;`
    ).join("\n")
  }

  /** Takes exactly what ${one ? `${parts[0].stage.module}'s constructor takes` : "the site is made of"}. */
  constructor(${
    one
      ? plan.facts.constructorParameters.map(declare).join(", ")
      : parts.map((p) => `${isRead(plan, p) ? "" : "_"}${p.name}: ${p.stage.module}`).join(", ")
  }) {
    super();
    ${
    one
      ? `const original = new ${parts[0].stage.module}(${
        plan.facts.constructorParameters.map((p) => p.name).join(", ")
      }); // on meta: no memory`
      : ""
  }
${
    parameters.map(({ p, path }) => {
      const [to, from] = [`this.${property(plan, p, path)}`, `${source(p)}.${path}`];
      return optional(plan, p, path)
        ? `    if (${from}) ${to} = parameter(${from}.shape);`
        : `    ${to} = parameter(${from}${surelyThere(plan, p, path) ? "!" : ""}.shape);`;
    }).join("\n")
  }
${fields.map(({ p, f }) => `    this.${property(plan, p, f)} = ${source(p)}.${f};`).join("\n")}
  }
}
`;
}

/** `kernel.ts`. */
export function kernelSource(plan: KernelPlanText): string {
  const { name, kind, forwardOnly, parts, facts } = plan;
  const stages = new Map(parts.map((p) => [p.stage.fn, p.stage.file]));
  const inputs = facts.forwardParameters.map((p) => p.name);
  const self = forwardOnly ? parts[0].stage.module : `${name}Layout`;
  const of = (p: PartText) => (path: string) => {
    const known = p.stage.fields.includes(path) || kept(plan, p).includes(path);
    return known ? `this.${forwardOnly ? path : property(plan, p, path)}` : "";
  };
  const calls = parts.map((p, i) => {
    const given = kind === "fuses" && i > 0 ? [parts[i - 1].name] : inputs;
    return `${p.stage.fn}(${p.stage.args(given, of(p))})`;
  });
  const body = kind === "fusesParallel"
    ? `return [${calls.join(", ")}];`
    : calls.map((c, i) => i === calls.length - 1 ? `return ${c};` : `const ${parts[i].name} = ${c};`).join(
      "\n    ",
    );
  const accepts = forwardOnly ? acceptsSource(plan) : undefined;
  const result = kind === "fusesParallel" ? `[${parts.map(() => "Tensor").join(", ")}]` : "Tensor";
  const site = forwardOnly
    ? `import { ${self} } from "@kernelwright/sdk/nn";`
    : `import { ${self}, site } from "./layout.ts";`;
  return `import { kernel, ${forwardOnly ? `${kind}, ` : ""}type Tensor } from "@kernelwright/sdk";
${site}
${[...stages].map(([fn, file]) => `import { ${fn} } from "./${file}.ts";`).join("\n")}

/** ${describe(plan)}: plain and correct, to be improved. */
@kernel({
  site${forwardOnly ? `: ${siteSource(plan)}` : `, layout: ${self}`},
  version: "0.1.0",
  requires: { dtypes: ["f32", "f16"] },
  ${accepts ?? ""}
})
export class ${name} {
  /** Takes what ${parts[0].stage.module}'s forward takes. */
  forward(this: ${self}, ${facts.forwardParameters.map(declare).join(", ")}): ${result} {
    ${body}
  }
}
`;
}

/** `fuses norm: RMSNorm → mlp: LlamaMLP`, in words. */
export function describe(plan: KernelPlanText): string {
  const names = plan.parts.map((p) => p.stage.module);
  if (plan.kind === "replaces") return `${names[0]} in a kernel of its own`;
  return `${names.join(plan.kind === "fuses" ? " → " : ", ")} in one kernel${
    plan.kind === "fuses" ? "" : ", all fed the same input"
  }`;
}

// ---------------------------------------------------------------------------

function siteSource({ kind, parts }: KernelPlanText): string {
  if (kind === "replaces") return `replaces(${parts[0].stage.module})`;
  return `${kind}(${parts.map((p) => `{ ${p.name}: ${p.stage.module} }`).join(", ")})`;
}

/** The parameters that the layout has: a bias that a fusion does not take is none. */
function kept(plan: KernelPlanText, p: PartText): readonly string[] {
  const never = plan.kind !== "replaces" && p.stage.bias === "never";
  return never ? p.parameters.filter((path) => path !== "bias") : p.parameters;
}

/** Whether the layout takes anything from a part. */
function isRead(plan: KernelPlanText, p: PartText): boolean {
  return kept(plan, p).length + p.stage.fields.length > 0;
}

function optional(plan: KernelPlanText, p: PartText, path: string): boolean {
  return path === "bias" && p.stage.bias !== undefined && plan.kind === "replaces";
}

function surelyThere(plan: KernelPlanText, p: PartText, path: string): boolean {
  return path === "bias" && p.stage.bias === "always" && plan.kind !== "replaces";
}

function acceptsSource(plan: KernelPlanText): string | undefined {
  const conditions = plan.parts.flatMap((p) => {
    const bias = plan.kind === "replaces" ? undefined : p.stage.bias;
    return [
      ...p.stage.accepts?.(p.name) ?? [],
      ...(bias === "always" ? [[`${p.name}.bias !== undefined`, `${p.name} has no bias`] as const] : []),
      ...(bias === "never" ? [[`${p.name}.bias === undefined`, `${p.name} has a bias`] as const] : []),
    ];
  });
  if (conditions.length === 0) return undefined;
  const last = largestOf(
    plan.parts.map((p, i) => conditions.some(([c]) => c.includes(`${p.name}.`)) ? i : 0),
  );
  const params = plan.parts.slice(0, last + 1)
    .map((p) => conditions.some(([c]) => c.includes(`${p.name}.`)) ? p.name : `_${p.name}`);
  return `accepts: (${params.join(", ")}) => {
    ${conditions.map(([c, why]) => `if (!(${c})) return ${quote(why)};`).join("\n    ")}
    return true;
  },`;
}

/** `norm.weight` becomes `norm_weight`. */
function property(plan: KernelPlanText, p: PartText, path: string): string {
  const flat = path.replaceAll(".", "_");
  return plan.kind === "replaces" ? flat : `${p.name}_${flat}`;
}

function declare(p: ParameterFact): string {
  return `${p.name}${p.optional ? "?" : ""}: ${p.type}`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
