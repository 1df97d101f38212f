import { largestOf } from "../extremes.ts";
import {
  currentContext,
  didYouMean,
  inContext,
  type KernelwrightError,
  raise,
  type Where,
} from "../errors.ts";
import { BindGroupCache } from "./bind_groups.ts";
import type { Gpu } from "./device.ts";
import type { GpuBuffer } from "./pool.ts";
import type { ShaderVariant } from "./shader.ts";
import { describeVariant, shaderError } from "./shader_error.ts";

/** A pipeline that a plan will need. */
export interface PipelineRequest {
  /** The shader. */
  readonly variant: ShaderVariant;
  /** Values of its overrides. */
  readonly constants: Readonly<Record<string, number>>;
}

/** A compiled shader with its layouts. */
export interface CompiledPipeline {
  /** The pipeline. */
  readonly pipeline: GPUComputePipeline;
  /** One layout per group. */
  readonly layouts: readonly GPUBindGroupLayout[];
  /** Larger than that of any pipeline that was asked for less recently. */
  lastUse: number;
  /** Whether it has run: drivers compile at the first dispatch, not when the pipeline is made. */
  warm: boolean;
  /** Resolves when the driver has said whether it compiles; with the error if not. */
  readonly error: Promise<KernelwrightError | undefined>;
}

/**
 * A model has some dozens. Where constants keep changing, those used longest ago go: each may hold a quarter of a
 * megabyte in the driver. A captured plan holds its own, and does not lose them.
 */
const MOST = 512;

/** Pipelines by shader, aliases and constants; bind groups by pipeline and buffers. */
export class PipelineCache {
  readonly #gpu: Gpu;
  readonly #pipelines = new Map<string, CompiledPipeline>();
  readonly #beside = new Map<string, GPUComputePipeline>();
  readonly #bindGroups = new BindGroupCache();
  #uses = 0;

  /**
   * Makes one.
   *
   * @param gpu The device.
   */
  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** How many pipelines there are. */
  get size(): number {
    return this.#pipelines.size;
  }

  /** For how many combinations of a pipeline and buffers there are bind groups. */
  get bindGroupCount(): number {
    return this.#bindGroups.size;
  }

  /**
   * The pipeline for a request. Compile errors come later, through the device's next checked wait.
   *
   * @throws KW-SHADER-CONSTANT, KW-GPU-LIMIT, KW-GPU-FEATURE at once.
   */
  get(request: PipelineRequest): CompiledPipeline {
    const key = keyOf(request);
    let compiled = this.#pipelines.get(key);
    if (!compiled) {
      if (this.#pipelines.size >= MOST) this.#evict();
      const made = compiled = this.#compile(request);
      this.#pipelines.set(key, made);
      this.#gpu.watch(made.error.then((e) => {
        if (!e) return;
        if (this.#pipelines.get(key) === made) this.#drop(key, made); // so that the next use says it again
        this.#gpu.fail(e);
      }));
    }
    compiled.lastUse = ++this.#uses;
    return compiled;
  }

  /**
   * Compiles without running anything, so that mistakes show early.
   *
   * @param where What needs them, for the errors.
   * @throws KW-SHADER-COMPILE for the first request that does not compile.
   */
  async prepare(requests: readonly PipelineRequest[], where: Where = {}): Promise<void> {
    const made = inContext(where, () => requests.map((r) => this.get(r)));
    await this.#gpu.checked(() => Promise.all(made.map((m) => m.error)));
  }

  /** The bind groups for buffers, from the cache where it has them. */
  bindGroups(
    compiled: CompiledPipeline,
    variant: ShaderVariant,
    buffers: readonly GpuBuffer[],
    sizes: readonly number[],
  ): readonly GPUBindGroup[] {
    return this.#bindGroups.get(
      compiled,
      buffers,
      sizes,
      () => this.makeBindGroups(compiled, variant, buffers, sizes, this.#gpu.stream.uniforms.buffer),
    );
  }

  /** Whether a request can be had without compiling. */
  has(request: PipelineRequest): boolean {
    const key = keyOf(request);
    return this.#pipelines.has(key) || this.#beside.has(key);
  }

  /** Compiles while other work goes on, where the engine can; {@linkcode has} tells when it is done. */
  async compileBeside(request: PipelineRequest): Promise<void> {
    try {
      const { descriptor } = this.#describe(request);
      const made = await this.#gpu.device.createComputePipelineAsync(descriptor);
      this.#beside.set(keyOf(request), made);
    } catch {
      // What is wrong is said when it is used.
    }
  }

  /** New bind groups for buffers, with the uniforms in `uniforms` at dynamic offsets. */
  makeBindGroups(
    compiled: CompiledPipeline,
    variant: ShaderVariant,
    buffers: readonly GpuBuffer[],
    sizes: readonly number[],
    uniforms: GPUBuffer | undefined,
  ): readonly GPUBindGroup[] {
    return compiled.layouts.map((layout, g) => {
      const entries: GPUBindGroupEntry[] = [];
      variant.reflection.storage.forEach((s, i) => {
        if (s.group !== g) return;
        entries.push({ binding: s.binding, resource: { buffer: buffers[i].buffer, size: sizes[i] } });
      });
      for (const u of variant.reflection.uniforms) {
        if (u.group === g) {
          entries.push({ binding: u.binding, resource: { buffer: uniforms!, size: u.bytes } });
        }
      }
      return this.#gpu.device.createBindGroup({ layout, entries });
    });
  }

  /** Forgets the bind groups that hold a buffer, before it is destroyed. */
  forgetBuffer(b: GpuBuffer): void {
    this.#bindGroups.forgetBuffer(b);
  }

  /** Drops the quarter that was used longest ago: one by one, each would be looked for among all. */
  #evict(): void {
    const byAge = [...this.#pipelines].sort(([, a], [, b]) => a.lastUse - b.lastUse);
    for (const [key, compiled] of byAge.slice(0, MOST / 4)) this.#drop(key, compiled);
  }

  #drop(key: string, compiled: CompiledPipeline): void {
    this.#pipelines.delete(key);
    this.#bindGroups.forgetPipeline(compiled);
  }

  #compile({ variant, constants }: PipelineRequest): CompiledPipeline {
    this.#checkConstants(variant, constants);
    this.#checkLimits(variant);
    const { device } = this.#gpu;
    const context = currentContext();
    device.pushErrorScope("validation");
    const { module, layouts, descriptor } = this.#describe({ variant, constants });
    const beside = this.#beside.get(keyOf({ variant, constants }));
    const pipeline = beside ?? device.createComputePipeline(descriptor);
    const error = device.popErrorScope().then((e) =>
      e ? shaderError(variant, module, e.message, constants, context) : undefined
    );
    return { pipeline, layouts, lastUse: 0, warm: false, error };
  }

  #describe({ variant, constants }: PipelineRequest) {
    const { device } = this.#gpu;
    const module = device.createShaderModule({ code: variant.code, label: variant.shader.name });
    const layouts = this.#layouts(variant);
    const descriptor = {
      label: variant.shader.name,
      layout: device.createPipelineLayout({ bindGroupLayouts: layouts }),
      compute: { module, entryPoint: variant.entryPoint, constants: { ...constants } },
    };
    return { module, layouts, descriptor };
  }

  #layouts(variant: ShaderVariant): GPUBindGroupLayout[] {
    const { storage, uniforms } = variant.reflection;
    const groups = largestOf([...storage, ...uniforms].map((b) => b.group), -1) + 1;
    return Array.from({ length: groups }, (_, g) =>
      this.#gpu.device.createBindGroupLayout({
        entries: [
          ...storage.filter((s) => s.group === g).map((s) => ({
            binding: s.binding,
            visibility: GPUShaderStage.COMPUTE,
            buffer: { type: s.writes ? "storage" as const : "read-only-storage" as const },
          })),
          ...uniforms.filter((u) => u.group === g).map((u) => ({
            binding: u.binding,
            visibility: GPUShaderStage.COMPUTE,
            buffer: { type: "uniform" as const, hasDynamicOffset: true, minBindingSize: u.bytes },
          })),
        ],
      }));
  }

  #checkConstants(variant: ShaderVariant, constants: Readonly<Record<string, number>>): void {
    const { overrides } = variant.reflection;
    const where = { file: variant.shader.name, variant: describeVariant(variant, constants) };
    for (const [name, value] of Object.entries(constants)) {
      if (!overrides.has(name)) {
        raise(
          "KW-SHADER-CONSTANT",
          `The shader has no override "${name}"`,
          didYouMean(name, overrides.keys()),
          where,
        );
      }
      if (!Number.isFinite(value)) {
        raise("KW-SHADER-CONSTANT", `The override "${name}" got ${value}`, "Give a finite number.", where);
      }
    }
    for (const [name, hasDefault] of overrides) {
      if (!hasDefault && !(name in constants)) {
        raise(
          "KW-SHADER-CONSTANT",
          `The override "${name}" has no value`,
          `Give it in constants: { ${name}: … }.`,
          where,
        );
      }
    }
  }

  #checkLimits(variant: ShaderVariant): void {
    const where = { file: variant.shader.name };
    const limit = this.#gpu.limits.maxStorageBuffersPerShaderStage;
    const count = variant.reflection.storage.length;
    if (count > limit) {
      raise(
        "KW-GPU-LIMIT",
        `The shader binds ${count} storage buffers; the adapter allows ${limit}`,
        "Pack small tensors together, or split the shader.",
        where,
      );
    }
    if (/^\s*enable\s+f16/m.test(variant.code) && !this.#gpu.features.has("shader-f16")) {
      raise("KW-GPU-FEATURE", 'The shader uses f16; the adapter lacks "shader-f16"', "Run it on f32.", where);
    }
  }
}

// ---------------------------------------------------------------------------

function keyOf({ variant, constants }: PipelineRequest): string {
  let key = `${variant.id}`;
  for (const name in constants) key += `,${name}=${constants[name]}`;
  return key;
}
