/** How the SDK's own modules are built for a test, so that an author need not say it. */
import { raise } from "../errors.ts";
import {
  GELU,
  GeluAndMul,
  LayerNorm,
  Linear,
  LlamaMLP,
  type Module,
  type ModuleClass,
  ReluAndMul,
  RMSNorm,
  SiLU,
  SiluAndMul,
} from "../nn/mod.ts";
import type { KernelDefinition } from "../authoring/mod.ts";
import type { Dims } from "./options.ts";

/** How one class is built. */
interface Known {
  readonly cls: ModuleClass;
  /** The sizes that it has. */
  readonly sizes: readonly string[];
  /** Builds one whose input is `width` wide. */
  readonly build: (width: number, dims: Dims, alone: boolean) => Module;
  /** The width of its result. */
  readonly result: (width: number, dims: Dims) => number;
  /** How many tensors its forward takes. */
  readonly inputs: number;
}

const same = (width: number) => width;
const KNOWN: readonly Known[] = [
  { cls: RMSNorm, sizes: ["width"], build: (w) => new RMSNorm(w, 1e-5), result: same, inputs: 1 },
  { cls: LayerNorm, sizes: ["width"], build: (w) => new LayerNorm(w, 1e-5), result: same, inputs: 1 },
  {
    cls: Linear,
    sizes: ["width", "inner"],
    // In a fusion without a bias, as models have it there.
    build: (w, d, alone) => new Linear(w, d.inner, d.bias === undefined ? alone : d.bias !== 0),
    result: (_w, d) => d.inner,
    inputs: 1,
  },
  {
    cls: LlamaMLP,
    sizes: ["width", "inner"],
    build: (w, d) => new LlamaMLP(w, d.inner, "silu", false),
    result: same,
    inputs: 1,
  },
  { cls: SiluAndMul, sizes: ["width"], build: () => new SiluAndMul(), result: same, inputs: 2 },
  { cls: GeluAndMul, sizes: ["width"], build: () => new GeluAndMul(), result: same, inputs: 2 },
  { cls: ReluAndMul, sizes: ["width"], build: () => new ReluAndMul(), result: same, inputs: 2 },
  { cls: SiLU, sizes: ["width"], build: () => new SiLU(), result: same, inputs: 1 },
  { cls: GELU, sizes: ["width"], build: () => new GELU(), result: same, inputs: 1 },
];

/**
 * The modules for a site.
 *
 * @throws KW-TEST-OPTION for a class that is not known.
 */
export function knownModules(kernel: KernelDefinition, dims: Dims): Module[] {
  let width = dims.width;
  return kernel.site.parts.map(({ cls }) => {
    const known = knownOf(kernel, cls);
    const module = known.build(width, dims, kernel.site.kind === "replaces");
    if (kernel.site.kind === "fuses") width = known.result(width, dims);
    return module;
  });
}

/** The shapes of the forward's inputs, for a site of known modules. */
export function knownInputs(kernel: KernelDefinition, dims: Dims): number[][] {
  const { inputs } = knownOf(kernel, kernel.site.parts[0].cls);
  return Array.from({ length: inputs }, () => [dims.batch, dims.tokens, dims.width]);
}

/** The sizes that a site of known modules has. */
export function knownSizes(kernel: KernelDefinition): string[] {
  const sizes = kernel.site.parts.flatMap(({ cls }) => knownOf(kernel, cls).sizes);
  return [...new Set(["batch", "tokens", ...sizes])];
}

// ---------------------------------------------------------------------------

function knownOf(kernel: KernelDefinition, cls: ModuleClass): Known {
  return KNOWN.find((k) => k.cls.prototype === cls.prototype) ?? raise(
    "KW-TEST-OPTION",
    `Cannot build a ${cls.name} for the test of ${kernel.name}`,
    "Give modules: (dims) => [new …], inputs: (dims) => [[…]] and shapes: [{ … }].",
    { kernel: kernel.name },
  );
}
