import { largestOf } from "../../extremes.ts";
import * as z from "zod";
import { isKernel, type KernelClass } from "../../authoring/mod.ts";
import { KernelwrightError } from "../../errors.ts";
import type { KernelMode } from "./mode.ts";
import type { PathPattern } from "./pattern.ts";
import { isReference } from "./reference.ts";

/** A kernel: its class, or a reference such as `./examples/rmsnorm-mlp:RMSNormMLP`. */
export type KernelRef = KernelClass | string;

/** Properties that an adapter must have. Written in code with {@linkcode Device}. */
export interface DeviceMatch {
  /** The adapter's vendor, e.g. `nvidia`; compared without case. */
  readonly vendor?: string;
  /** The adapter's architecture, e.g. `ampere`. */
  readonly architecture?: string;
  /** Features that it must have. */
  readonly features?: readonly string[];
  /** The least value of limits. */
  readonly limits?: Readonly<Record<string, number>>;
}

/** One of several kernels for a site. */
export interface KernelCandidate {
  /** The adapters that it is for; defaults to any. */
  readonly device?: DeviceMatch;
  /** The mode that it is for; defaults to `fallback`. */
  readonly mode?: KernelMode | string;
  /** The kernel. */
  readonly kernel: KernelRef;
}

/** Kernels by mode: `{ inference: A, training: B, "inference|capture": C }`. */
export type ModeTable = Readonly<Record<string, KernelRef>>;

/**
 * Which kernel: one, or a table by device and mode, or candidates one by one. Of those that fit a site equally well the
 * later one is taken; with `verify`, the fastest that is right.
 */
export type KernelChoice = KernelRef | readonly KernelCandidate[] | {
  readonly webgpu: KernelRef | ModeTable | readonly KernelCandidate[];
};

/** What every entry that brings a kernel may say. */
export interface ChoiceOptions {
  /** Whether the original stays where no candidate fits; defaults to true. False makes that an error. */
  readonly fallback?: boolean;
}

/** Replaces every layer of a name, or those at some paths. */
export interface ReplaceEntry extends ChoiceOptions {
  /** The layer name. */
  readonly replace: string;
  /** Paths; defaults to all. */
  readonly at?: PathPattern | readonly PathPattern[];
  /** The kernel. */
  readonly with: KernelChoice;
}

/** A part of a fusion: a layer name, or a layer name and a path pattern. */
export type FusePart = string | readonly [name: string, at: PathPattern];

/** Fuses a chain of siblings. */
export interface FuseEntry extends ChoiceOptions {
  /** The parts, in the order in which they run. */
  readonly fuse: readonly FusePart[];
  /** The kernel. */
  readonly with: KernelChoice;
}

/** Fuses siblings that are fed the same input. */
export interface FuseParallelEntry extends ChoiceOptions {
  /** The parts, in the order of the kernel's results. */
  readonly fuseParallel: readonly FusePart[];
  /** The kernel. */
  readonly with: KernelChoice;
}

/** Keeps the original where an earlier entry would swap. */
export interface DisableEntry {
  /** The layer name. */
  readonly disable: string;
  /** Paths; defaults to all. */
  readonly at?: PathPattern | readonly PathPattern[];
}

/** One line of a {@linkcode KernelConfig}. */
export type KernelEntry = ReplaceEntry | FuseEntry | FuseParallelEntry | DisableEntry;

/** Which kernels go where. Data: `kernels.json` holds the same. */
export interface KernelConfig {
  /** The entries; a path takes precedence over a name, a later entry over an earlier one. */
  readonly kernels: readonly KernelEntry[];
}

/**
 * An entry that replaces modules one by one.
 *
 * @example
 * ```ts
 * import { replace } from "@kernelwright/sdk/config";
 * import { assertEquals } from "@std/assert";
 *
 * const entry = replace("RMSNorm", "./fast-norm:FastNorm", { at: "model.norm" });
 * assertEquals(entry, { replace: "RMSNorm", with: "./fast-norm:FastNorm", at: "model.norm" });
 * ```
 */
export function replace(
  name: string,
  choice: KernelChoice,
  options: { readonly at?: ReplaceEntry["at"] } & ChoiceOptions = {},
): ReplaceEntry {
  return { replace: name, with: choice, ...options };
}

/**
 * An entry that fuses a chain of siblings.
 *
 * @example
 * ```ts
 * import { fuse } from "@kernelwright/sdk/config";
 * import { assertEquals } from "@std/assert";
 *
 * const entry = fuse(["RMSNorm", ["LlamaMLP", "model.layers.*.mlp"]], "./norm-mlp:NormMLP");
 * assertEquals(entry.fuse, ["RMSNorm", ["LlamaMLP", "model.layers.*.mlp"]]);
 * ```
 */
export function fuse(
  parts: readonly FusePart[],
  choice: KernelChoice,
  options: ChoiceOptions = {},
): FuseEntry {
  return { fuse: parts, with: choice, ...options };
}

/**
 * An entry that fuses siblings with the same input.
 *
 * @example
 * ```ts
 * import { fuseParallel } from "@kernelwright/sdk/config";
 * import { assertEquals } from "@std/assert";
 *
 * const paths = ["q_proj", "k_proj", "v_proj"].map((name) => ["Linear", `**.self_attn.${name}`] as const);
 * const entry = fuseParallel(paths, "./qkv:QKV");
 * assertEquals(entry.fuseParallel[0], ["Linear", "**.self_attn.q_proj"]);
 * ```
 */
export function fuseParallel(
  parts: readonly FusePart[],
  choice: KernelChoice,
  options: ChoiceOptions = {},
): FuseParallelEntry {
  return { fuseParallel: parts, with: choice, ...options };
}

/**
 * An entry that keeps the originals.
 *
 * @example
 * ```ts
 * import { disable, type KernelConfig, replace } from "@kernelwright/sdk/config";
 * import { assertEquals } from "@std/assert";
 *
 * const config: KernelConfig = {
 *   kernels: [replace("RMSNorm", "./fast-norm:FastNorm"), disable("RMSNorm", { at: "model.norm" })],
 * };
 * assertEquals(config.kernels[1], { disable: "RMSNorm", at: "model.norm" });
 * ```
 */
export function disable(name: string, options: { readonly at?: DisableEntry["at"] } = {}): DisableEntry {
  return { disable: name, ...options };
}

/**
 * Properties that an adapter must have, for a {@linkcode KernelCandidate}.
 *
 * @example
 * ```ts
 * import { Device, replace } from "@kernelwright/sdk/config";
 * import { assertEquals } from "@std/assert";
 *
 * const entry = replace("RMSNorm", [
 *   { kernel: "./fast-norm:FastNorm" },
 *   { kernel: "./fast-norm:SubgroupNorm", device: Device({ features: ["subgroups"] }) },
 * ]);
 * assertEquals(JSON.stringify(entry.with).includes("subgroups"), true);
 * ```
 */
export function Device(properties: DeviceMatch): DeviceMatch {
  return properties;
}

/**
 * Checks a config, from code or from JSON.
 *
 * @param value What was given. @param file The file that it came from, for errors.
 * @throws KW-CONFIG-KERNELS with the JSON path and what was expected there.
 *
 * @example
 * ```ts
 * import { parseKernelConfig } from "@kernelwright/sdk/config";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const text = '{ "kernels": [{ "replace": "RMSNorm", "with": "./fast-norm:FastNorm" }] }';
 * assertEquals(parseKernelConfig(JSON.parse(text), "kernels.json").kernels.length, 1);
 * assertThrows(() => parseKernelConfig({ kernels: [{ replace: "RMSNorm" }] }), Error, "kernels[0].with");
 * ```
 */
export function parseKernelConfig(value: unknown, file?: string): KernelConfig {
  const parsed = ConfigSchema.safeParse(value);
  if (parsed.success) return parsed.data as KernelConfig;
  const issues = parsed.error.issues.flatMap((i) => flatten(i, []));
  const [first, ...rest] = issues;
  throw new KernelwrightError({
    code: "KW-CONFIG-KERNELS",
    what: `${first.path || "the config"}: ${first.message}`,
    where: { file, json: first.path || undefined },
    notes: rest.slice(0, 4).map((i) => `${i.path || "the config"}: ${i.message}`),
    fix: "An entry is { replace, at?, with }, { fuse, with }, { fuseParallel, with } or { disable, at? }.",
  });
}

// ---------------------------------------------------------------------------

const Name = z.string().min(1, "expected a layer name");
const PATH = "expected a path such as layers.*.mlp, or { regex }";
const Pattern = z.union([z.string().min(1), z.strictObject({ regex: z.string().min(1) })], PATH);
const Patterns = z.union([Pattern, z.array(Pattern).min(1)], `${PATH}, or a list of them`);
const KERNEL = "expected a class decorated with @kernel, or a reference such as ./folder:ClassName";
const Ref = z.union(
  [z.string().refine(isReference, KERNEL), z.custom<KernelClass>(isKernel)],
  KERNEL,
);
const Match = z.strictObject({
  vendor: z.string().optional(),
  architecture: z.string().optional(),
  features: z.array(z.string()).optional(),
  limits: z.record(z.string(), z.number().nonnegative()).optional(),
});
const Candidates = z.array(
  z.strictObject({ device: Match.optional(), mode: z.string().optional(), kernel: Ref }),
).min(1);
const KERNELS = `${KERNEL}, or several by mode or device`;
const Choice = z.union([
  Ref,
  Candidates,
  z.strictObject({ webgpu: z.union([Ref, Candidates, z.record(z.string(), Ref)], KERNELS) }),
], KERNELS);
const PartSchema = z.union([Name, z.tuple([Name, Pattern])], "expected a layer name, or [name, path]");
const Parts = z.array(PartSchema).min(2, "expected two parts or more");
const Common = { with: Choice, fallback: z.boolean().optional() };

const SHAPES: Record<string, z.ZodType> = {
  replace: z.strictObject({ replace: Name, at: Patterns.optional(), ...Common }),
  fuse: z.strictObject({ fuse: Parts, ...Common }),
  fuseParallel: z.strictObject({ fuseParallel: Parts, ...Common }),
  disable: z.strictObject({ disable: Name, at: Patterns.optional() }),
};

// Chosen by the key that is there, so that the message speaks of that kind and not of all four.
const Entry = z.unknown().transform((value, context) => {
  const kinds = typeof value === "object" && value !== null
    ? Object.keys(SHAPES).filter((k) => Object.hasOwn(value, k))
    : [];
  if (kinds.length !== 1) {
    context.addIssue({
      code: "custom",
      message: `expected exactly one of ${Object.keys(SHAPES).join(", ")}`,
    });
    return z.NEVER;
  }
  const parsed = SHAPES[kinds[0]].safeParse(value);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) context.addIssue({ ...issue, message: issue.message } as never);
  return z.NEVER;
});
const ConfigSchema = z.strictObject({ kernels: z.array(Entry), $schema: z.string().optional() });

interface FlatIssue {
  path: string;
  /** How many segments `path` has. */
  depth: number;
  message: string;
}

// A union's issue holds one list for each branch: the one that came further than the union itself says most, and
// where none did, the union says what it expected.
function flatten(issue: z.core.$ZodIssue, prefix: readonly PropertyKey[]): FlatIssue[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === "invalid_union" && issue.errors?.length) {
    const branches = issue.errors.map((list) => list.flatMap((i) => flatten(i, path)));
    const furthest = branches.reduce((a, b) => (depth(b) > depth(a) ? b : a));
    if (depth(furthest) > path.length || issue.message === "Invalid input") return furthest;
  }
  const where = path.map((p) => typeof p === "number" ? `[${p}]` : `.${String(p)}`).join("").replace(
    /^\./,
    "",
  );
  return [{
    path: where,
    depth: path.length,
    message: issue.message.charAt(0).toLowerCase() + issue.message.slice(1),
  }];
}

function depth(issues: readonly FlatIssue[]): number {
  return largestOf(issues.map((i) => i.depth), 0);
}
