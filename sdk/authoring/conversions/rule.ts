import { checkArgument, checkFields } from "../../arguments.ts";
import { inContext, KernelwrightError } from "../../errors.ts";
import { checkSpec, formatSpec, sameShape, type Tensor, type TensorSpec } from "../../tensor/mod.ts";
import { type BoundOp, checkOp, type ConversionOp } from "./op.ts";
import { runOp } from "./run.ts";

/** How some tensors of a checkpoint become some parameters. */
export interface ConversionRule {
  /** The sources, in the order in which the first op takes them. `*` stands for one segment of a path. */
  readonly from: readonly string[];
  /** The targets, in the order in which the last op gives them. */
  readonly to: readonly string[];
  /** What is done, in order. */
  readonly ops: readonly ConversionOp[];
  /** Whether the author gave up saving: such a rule needs no reverse. */
  readonly loadOnly?: boolean;
}

/** How {@linkcode convert} is told more. */
export interface ConvertOptions {
  /** Allows ops without a reverse; a model with such a rule cannot be saved. */
  readonly loadOnly?: boolean;
}

/** A rule that knows the shapes of its sources. */
export interface BoundRule {
  /** The rule. */
  readonly rule: ConversionRule;
  /** What goes in. */
  readonly inputs: readonly TensorSpec[];
  /** What comes out. */
  readonly outputs: readonly TensorSpec[];
  /** The ops, each fixed to its shapes. None where the tensors only change their names. */
  readonly steps: readonly BoundOp[];
  /**
   * Converts tensors of one device (`webgpu`, `reference`, or `meta`, where only shapes flow). The inputs stay
   * as they are; the results are the caller's to dispose, and may share an input's memory.
   *
   * @throws KW-CONVERT-SHAPE when the tensors are not those that the rule was bound to.
   */
  run(tensors: readonly Tensor[]): Tensor[];
  /**
   * The rule that gives the sources back.
   *
   * @throws KW-CONVERT-NO-REVERSE
   */
  reverse(): BoundRule;
}

/**
 * The source becomes the target as it is.
 * See the example of {@linkcode convert}.
 */
export function rename(from: string, to: string): ConversionRule {
  checkArgument("rename(): from", from, "a string");
  checkArgument("rename(): to", to, "a string");
  return { from: [from], to: [to], ops: [] };
}

/**
 * The sources, taken in order through the ops, become the targets.
 *
 * @example
 * ```ts
 * import { cast, chunk, concatenate, convert, interleave, pad, permute, permuteForRope } from "@kernelwright/sdk";
 * import { rename, reshape, split, stackList, transpose, unstackList } from "@kernelwright/sdk";
 * import { assertEquals } from "@std/assert";
 *
 * const conversions = [
 *   rename("norm.weight", "scale"),
 *   convert(["gate.weight", "up.weight"], "gate_up", [interleave(), transpose(), cast("f16")]),
 *   convert(["q.weight", "k.weight"], "qk", [permuteForRope({ headDim: 64 }), concatenate(0)]),
 *   convert("qkv.weight", ["q", "k", "v"], [split([256, 64, 64])]),
 *   convert("gate_up.weight", ["gate", "up"], [chunk(2), pad({ multipleOf: 4 })]),
 *   convert("experts.*.w1", "w1", [stackList()]),
 *   convert("w2", "experts.*.w2", [unstackList()]),
 *   convert("conv.weight", "filters", [permute([2, 3, 1, 0]), reshape([9, -1])]),
 * ];
 * assertEquals(conversions[1].to, ["gate_up"]);
 * ```
 */
export function convert(
  from: string | readonly string[],
  to: string | readonly string[],
  ops: readonly ConversionOp[],
  options: ConvertOptions = {},
): ConversionRule {
  for (const [name, v] of [["from", from], ["to", to]] as const) {
    checkArgument(`convert(): ${name}`, typeof v === "string" ? [v] : v, "strings in an array");
  }
  checkArgument("convert(): ops", ops, "objects in an array");
  checkArgument("convert(): options", options, "an object");
  return {
    from: typeof from === "string" ? [from] : [...from],
    to: typeof to === "string" ? [to] : [...to],
    ops: [...ops],
    ...(options.loadOnly ? { loadOnly: true } : {}),
  };
}

/**
 * Sends shapes through a rule. Whatever does not fit is found here.
 *
 * @param specs The sources' shapes and dtypes, in order.
 * @throws KW-CONVERT-SHAPE, KW-CONVERT-DTYPE, KW-CONVERT-AMBIGUOUS; KW-CONVERT-NO-REVERSE for an op without a
 * reverse in a rule that is not `loadOnly`.
 */
export function bindRule(rule: ConversionRule, specs: readonly TensorSpec[]): BoundRule {
  checkRule("bindRule(): rule", rule);
  checkArgument("bindRule(): specs", specs, "objects in an array");
  specs.forEach(checkSpec);
  return inContext({ key: rule.from.join(", ") }, () => {
    const steps: BoundOp[] = [];
    let current = specs;
    checkCount(rule, rule.from, specs, "take");
    for (const op of rule.ops) {
      const step = op.bind(current);
      steps.push(step);
      if (!rule.loadOnly) reverseOf(rule, step);
      current = step.outputs;
    }
    checkCount(rule, rule.to, current, "give");
    return bound(rule, specs, current, steps);
  });
}

/** Checks that a rule is one, of ops. @throws KW-ARGUMENT */
export function checkRule(at: string, rule: ConversionRule): void {
  checkFields(at, rule, {
    from: "strings in an array",
    to: "strings in an array",
    ops: "objects in an array",
  });
  rule.ops.forEach((op, i) => checkOp(`${at}.ops[${i}]`, op));
}

/**
 * `a, b → c: concatenate(dim: 0)`, as messages show a rule.
 *
 * @example
 * ```ts
 * import { concatenate, convert } from "@kernelwright/sdk";
 * import { describeRule } from "@kernelwright/sdk/inspect";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(describeRule(convert(["a", "b"], "ab", [concatenate(0)])), "a, b → ab: concatenate");
 * ```
 */
export function describeRule(rule: ConversionRule): string {
  checkRule("describeRule(): rule", rule);
  const ops = rule.ops.map((o) => o.name).join(", ");
  return `${rule.from.join(", ")} → ${rule.to.join(", ")}${ops && `: ${ops}`}`;
}

// ---------------------------------------------------------------------------

function bound(
  rule: ConversionRule,
  inputs: readonly TensorSpec[],
  outputs: readonly TensorSpec[],
  steps: readonly BoundOp[],
): BoundRule {
  return {
    rule,
    inputs,
    outputs,
    steps,
    run: (tensors) => inContext({ key: rule.from.join(", ") }, () => runSteps(rule, inputs, steps, tensors)),
    reverse: () => {
      const back = steps.map((s) => reverseOf(rule, s)).reverse();
      const turned = { from: rule.to, to: rule.from, ops: rule.ops, loadOnly: rule.loadOnly };
      return bound(turned, outputs, inputs, back);
    },
  };
}

function runSteps(
  rule: ConversionRule,
  inputs: readonly TensorSpec[],
  steps: readonly BoundOp[],
  tensors: readonly Tensor[],
): Tensor[] {
  checkTensors(rule, inputs, tensors);
  // Each is a tensor of its own, so that what is disposed below is never the caller's.
  let current = tensors.map((t) => t.reshape(t.shape));
  for (const step of steps) {
    try {
      const next = runOp(step, current);
      [current, tensors] = [next, current];
    } catch (error) {
      for (const t of current) t.dispose();
      throw error;
    }
    for (const t of tensors) t.dispose();
  }
  return current;
}

function reverseOf(rule: ConversionRule, step: BoundOp): BoundOp {
  return step.reverse() ?? noReverse(rule, step);
}

function noReverse(rule: ConversionRule, step: BoundOp): never {
  throw new KernelwrightError({
    code: "KW-CONVERT-NO-REVERSE",
    what: `Cannot reverse ${step.label} in the conversion ${describeRule(rule)}`,
    fix:
      "Use ops that have a reverse, or mark the conversion { loadOnly: true }: then the model cannot be saved.",
    where: { key: rule.from.join(", ") },
  });
}

function checkCount(
  rule: ConversionRule,
  names: readonly string[],
  specs: readonly TensorSpec[],
  verb: "take" | "give",
): void {
  // A pattern may stand for a list of any length.
  if (names.length === specs.length || names.some((n) => n.includes("*"))) return;
  throw new KernelwrightError({
    code: "KW-CONVERT-SHAPE",
    what: `Cannot convert ${describeRule(rule)}: it names ${names.length} ${
      verb === "take" ? "sources" : "targets"
    }, and its ops ${verb} ${specs.length}: ${specs.map(formatSpec).join(", ")}`,
    fix: verb === "take"
      ? "Give one tensor for each source."
      : "Name one target for each tensor that comes out.",
  });
}

function checkTensors(
  rule: ConversionRule,
  inputs: readonly TensorSpec[],
  tensors: readonly Tensor[],
): void {
  const fits = tensors.length === inputs.length &&
    tensors.every((t, i) => sameShape(t.shape, inputs[i].shape) && t.dtype === inputs[i].dtype);
  if (fits) return;
  throw new KernelwrightError({
    code: "KW-CONVERT-SHAPE",
    what: `Cannot run ${describeRule(rule)} on ${tensors.map(formatSpec).join(", ")}`,
    fix: `It was bound to ${inputs.map(formatSpec).join(", ")}.`,
  });
}
