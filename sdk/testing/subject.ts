/**
 * The kernel under test, in the smallest model that holds its site.
 *
 *   Chain { norm: RMSNorm, mlp: LlamaMLP }   on reference  ─► what is right, in float64
 *   the same                                 on webgpu     ─► how far off the original is
 *   the same, after kernelize()              on webgpu     ─► the kernel, with the layout's own conversions
 *
 * All three have the same random parameters. It is `kernelize` that swaps, as in a real model, so matching, the
 * signature proof and the trace are part of every trial.
 */
import {
  type Constants,
  type KernelClass,
  type KernelDefinition,
  kernelDefinition,
} from "../authoring/mod.ts";
import { raise } from "../errors.ts";
import {
  declaredWrites,
  fuse,
  fuseParallel,
  type KernelConfig,
  kernelize,
  kernelPlan,
  leaveUnguarded,
  replace,
  withConstants,
} from "../kernelize/mod.ts";
import { layerNameOfClass, Module } from "../nn/mod.ts";
import { type DeviceName, type DType, DTYPES, keep, numel, type Shape, Tensor } from "../tensor/mod.ts";
import { knownInputs, knownModules, knownSizes } from "./known_modules.ts";
import type { Dims, InputSpec, SizeRange, TestKernelOptions } from "./options.ts";
import { type Fill, FILLS, randomSource } from "./random.ts";

/** The modules of a site under one parent that runs them as the site says. */
export class SiteModel extends Module {
  readonly #names: readonly string[];
  readonly #parallel: boolean;

  /** Puts `modules` at the names of the site's parts. */
  constructor(kernel: KernelDefinition, modules: readonly Module[]) {
    super();
    this.#parallel = kernel.site.kind === "fusesParallel";
    this.#names = partNames(kernel);
    this.#names.forEach((name, i) => Object.assign(this, { [name]: modules[i] }));
  }

  /** The parts, in order. */
  get parts(): Module[] {
    return this.#names.map((name) => (this as unknown as Record<string, Module>)[name]);
  }

  /** A chain hands each result to the next part; parallel parts get the same input. */
  override forward(...args: unknown[]): unknown {
    const [first, ...others] = this.parts;
    if (this.#parallel) return this.parts.map((p) => p.call(...args as never[]));
    return others.reduce((value, p) => p.call(value as never), first.call(...args as never[]) as unknown);
  }
}

/** A kernel class with what its test was told, and all that can be worked out from both. */
export class Subject {
  /** The kernel. */
  readonly kernel: KernelDefinition;
  /** What the author said. */
  readonly options: TestKernelOptions;
  readonly #cls: KernelClass;

  /** @throws KW-KERNEL-UNDECLARED */
  constructor(cls: KernelClass, options: TestKernelOptions) {
    this.kernel = kernelDefinition(cls);
    this.options = options;
    this.#cls = cls;
  }

  /** Element types to try. */
  get dtypes(): readonly DType[] {
    return this.options.dtypes ?? this.kernel.requires.dtypes ?? ["f32"];
  }

  /** Fixed sizes to try. */
  get shapes(): readonly Dims[] {
    return this.options.shapes ?? shapesOf(knownSizes(this.kernel));
  }

  /** Ranges for random trials. */
  get sizes(): Readonly<Record<string, SizeRange>> {
    const names = Object.keys(this.shapes[0]);
    const { sizes = {} } = this.options;
    return Object.fromEntries(
      names.map((n) => [n, sizes[n] ?? (n === "batch" ? { max: 3 } : n === "tokens" ? { max: 40 } : {})]),
    );
  }

  /** The model on meta. */
  model(dims: Dims, dtype: DType): SiteModel {
    const { modules } = this.options;
    const made = modules ? modules(dims) : knownModules(this.kernel, dims);
    const count = this.kernel.site.parts.length;
    if (made.length !== count) {
      raise(
        "KW-TEST-OPTION",
        `modules() of ${this.kernel.name} gave ${made.length} modules for ${count} parts`,
      );
    }
    return new SiteModel(this.kernel, made).to(dtype);
  }

  /** Fills a model's parameters. The same seed gives the same values on every device. */
  fillParameters(model: Module, device: DeviceName, seed: number, fill: Fill = FILLS.usual): void {
    const random = randomSource(seed);
    for (const [path, p] of model.namedParameters()) {
      // Products of rows stay near one; a norm's weight is used as it is.
      const share = p.shape.length > 1 ? 1 / Math.sqrt(Math.max(1, p.shape.at(-1)!)) : 1;
      p.assign(keep(
        filledTensor(p.shape, p.dtype, device, (i) => fill(i, random) * share, path),
      ));
    }
  }

  /** The inputs of forward. */
  inputs(dims: Dims, dtype: DType, device: DeviceName, seed: number, fill: Fill = FILLS.usual): Tensor[] {
    const random = randomSource(seed ^ 0x5bd1e995);
    return this.inputSpecs(dims).map((spec, n) => {
      const values = spec.values ?? fill;
      const type = spec.dtype ?? dtype;
      return filledTensor(spec.shape, type, device, (i) => values(i, random, n), `input ${n}`);
    });
  }

  /** Those of the inputs that the forward writes. */
  written(inputs: readonly Tensor[], dims: Dims): Tensor[] {
    const specs = this.inputSpecs(dims);
    return inputs.filter((_, i) => specs[i].written);
  }

  /** Those of the inputs that the kernel says it writes. */
  declared(model: SiteModel, inputs: readonly Tensor[]): Tensor[] {
    const site = kernelPlan(model)?.sites[0];
    if (!site) return [];
    const memory = declaredWrites(this.kernel, site.layout ?? site.nodes[0].module, this.#arguments(inputs));
    return inputs.filter((t) => memory.has(t.storage.origin));
  }

  /** Runs a model on inputs; a kernel in it with its own defaults, unless other constants are given. */
  run(model: SiteModel, inputs: readonly Tensor[], constants?: Constants): unknown {
    const run = () => model.call(...this.#arguments(inputs));
    const tuning = constants && kernelPlan(model)?.sites[0]?.tuning;
    return tuning ? withConstants(tuning, constants, run) : run();
  }

  /** Shapes and dtypes of the inputs. */
  inputSpecs(dims: Dims): InputSpec[] {
    const given = this.options.inputs?.(dims) ?? knownInputs(this.kernel, dims);
    return given.map((g) => isShape(g) ? { shape: g } : g);
  }

  /**
   * Swaps the kernel into a model.
   *
   * @param guarded Whether it is refused if it writes what it does not declare.
   * @throws whatever kernelize throws, and KW-SELECT-NONE where the kernel does not accept the modules.
   */
  async swap(model: Module, dims: Dims, dtype: DType, guarded = false): Promise<void> {
    if (!guarded) leaveUnguarded(model); // a check of its own tells what is written, and the others go on
    await kernelize(model, this.#config(), {
      inputs: this.#arguments(this.inputs(dims, dtype, "meta", 0)),
    });
  }

  #arguments(inputs: readonly Tensor[]): readonly unknown[] {
    return this.options.arguments?.(inputs) ?? inputs;
  }

  #config(): KernelConfig {
    const { site } = this.kernel;
    const paths = partNames(this.kernel);
    const parts = site.parts.map(({ cls }, i): [string, string] => [
      layerNameOfClass(cls) ?? raise(
        "KW-TEST-OPTION",
        `The class ${cls.name} is not marked as a layer, so no config can name it`,
        "Decorate it with @layer, or call makeReplaceable.",
      ),
      paths[i],
    ]);
    const options = { fallback: false };
    if (site.kind === "fuses") return { kernels: [fuse(parts, this.#cls, options)] };
    if (site.kind === "fusesParallel") return { kernels: [fuseParallel(parts, this.#cls, options)] };
    return { kernels: [replace(parts[0][0], this.#cls, { at: parts[0][1], ...options })] };
  }
}

// ---------------------------------------------------------------------------

function partNames(kernel: KernelDefinition): string[] {
  return kernel.site.parts.map((p) => p.name || "site");
}

/** Sizes that are and are not multiples of the usual workgroups, of vectors, and of each other. */
function shapesOf(names: readonly string[]): Dims[] {
  const all: Dims[] = [
    { batch: 2, tokens: 3, width: 33, inner: 70 },
    { batch: 1, tokens: 1, width: 1, inner: 1 },
    { batch: 1, tokens: 16, width: 64, inner: 128 },
    { batch: 1, tokens: 17, width: 130, inner: 67 },
    { batch: 3, tokens: 5, width: 7, inner: 65 },
  ];
  return all.map((dims) => Object.fromEntries(names.map((n) => [n, dims[n]])));
}

function filledTensor(
  shape: Shape,
  dtype: DType,
  device: DeviceName,
  value: (i: number) => number,
  name: string,
): Tensor {
  if (device === "meta") return Tensor.empty(shape, { dtype, device, name });
  const data = DTYPES[dtype].array(new ArrayBuffer(numel(shape) * DTYPES[dtype].bytes));
  for (let i = 0; i < data.length; i++) data[i] = clamp(value(i), dtype);
  return Tensor.from(data, { shape, dtype, device, name });
}

/** Keeps finite values finite in f16. */
function clamp(value: number, dtype: DType): number {
  return dtype === "f16" && Number.isFinite(value) ? Math.max(-60000, Math.min(60000, value)) : value;
}

function isShape(value: Shape | InputSpec): value is Shape {
  return Array.isArray(value);
}
