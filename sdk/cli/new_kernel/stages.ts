/**
 * What `new-kernel` knows to compute: for each module a plain implementation in `templates/stages`, and how it is
 * called. The parameters' names are checked against the module itself.
 */
import {
  GELU,
  GeluAndMul,
  LayerNorm,
  Linear,
  LlamaMLP,
  type Module,
  ReluAndMul,
  RMSNorm,
  SiLU,
  SiluAndMul,
} from "../../nn/mod.ts";
import { didYouMean, raise } from "../../errors.ts";

/** How a module is computed by a template. */
export interface Stage {
  /** The module's class. */
  readonly module: string;
  /** What a part of this class is called by default. */
  readonly part: string;
  /** An instance, to read its parameters off. */
  readonly sample: () => Module;
  /** The template's function. */
  readonly fn: string;
  /** The file that has the function, without its ending. */
  readonly file: string;
  /** Every file to copy. */
  readonly files: readonly string[];
  /** Fields of the module that the function needs. */
  readonly fields: readonly string[];
  /** Whether its bias may be missing; a fusion takes only instances with one (`always`) or without (`never`). */
  readonly bias?: "always" | "never";
  /** Further conditions: JavaScript over the part's name, and the sentence where it does not hold. */
  readonly accepts?: (part: string) => readonly (readonly [condition: string, otherwise: string])[];
  /** The arguments of the function. `of` gives the code for a parameter or field of the module. */
  readonly args: (inputs: readonly string[], of: (path: string) => string) => string;
}

const norms = { part: "norm", fields: ["eps"] };
const act = (kind: string, module: string, sample: () => Module): Stage => ({
  module,
  part: "act",
  sample,
  fn: "activation",
  file: "activation",
  files: ["activation.ts", "activation.wgsl"],
  fields: [],
  args: (inputs) => `"${kind}", ${inputs.join(", ")}`,
});

/** The stages, by class name. */
export const STAGES: readonly Stage[] = [
  {
    ...norms,
    module: "RMSNorm",
    sample: () => new RMSNorm(8),
    fn: "rmsNorm",
    file: "rms_norm",
    files: ["rms_norm.ts", "rms_norm.wgsl"],
    args: ([x], of) => `${x}, ${of("weight")}, ${of("eps")}`,
  },
  {
    ...norms,
    module: "LayerNorm",
    sample: () => new LayerNorm(8),
    fn: "layerNorm",
    file: "layer_norm",
    files: ["layer_norm.ts", "layer_norm.wgsl"],
    bias: "always",
    args: ([x], of) => `${x}, ${of("weight")}, ${of("bias")}, ${of("eps")}`,
  },
  {
    module: "Linear",
    part: "proj",
    sample: () => new Linear(8, 8),
    fn: "linear",
    file: "linear",
    files: ["linear.ts", "linear.wgsl"],
    fields: [],
    bias: "never",
    args: ([x], of) => [x, of("weight"), of("bias")].filter(Boolean).join(", "),
  },
  {
    module: "LlamaMLP",
    part: "mlp",
    sample: () => new LlamaMLP(8, 8),
    fn: "gatedMlp",
    file: "gated_mlp",
    files: ["gated_mlp.ts", "activation.ts", "activation.wgsl", "linear.ts", "linear.wgsl"],
    fields: [],
    accepts: (mlp) => [
      [`${mlp}.hidden_act === "silu"`, "the activation is not SiLU"],
      [`${mlp}.gate_proj.bias === undefined`, "the projections have biases"],
    ],
    args: ([x], of) => `${x}, ${of("gate_proj.weight")}, ${of("up_proj.weight")}, ${of("down_proj.weight")}`,
  },
  act("silu", "SiLU", () => new SiLU()),
  act("gelu", "GELU", () => new GELU()),
  act("silu", "SiluAndMul", () => new SiluAndMul()),
  {
    ...act("gelu", "GeluAndMul", () => new GeluAndMul()),
    accepts: (m) => [[`!${m}.approximate`, "GELU is approximated with tanh"]],
  },
  act("relu", "ReluAndMul", () => new ReluAndMul()),
];

/**
 * The stage for a class name.
 *
 * @throws KW-NEW-MODULE with the closest known name.
 */
export function stageOf(name: string): Stage {
  return STAGES.find((s) => s.module === name) ?? raise(
    "KW-NEW-MODULE",
    `There is no template for the module ${JSON.stringify(name)}`,
    didYouMean(name, STAGES.map((s) => s.module)),
  );
}
