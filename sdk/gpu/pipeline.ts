import {
  currentContext,
  didYouMean,
  inContext,
  type KernelwrightError,
  raise,
  type Where,
} from "../errors.ts";
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
  /** Bind groups by the buffers in them. */
  readonly bindGroups: Map<string, readonly GPUBindGroup[]>;
  /** Whether it has run: drivers compile at the first dispatch, not when the pipeline is made. */
  warm: boolean;
  /** Resolves when the driver has said whether it compiles; with the error if not. */
  readonly error: Promise<KernelwrightError | undefined>;
}

/** Pipelines by shader, aliases and constants; bind groups by pipeline and buffers. */
export class PipelineCache {
  readonly #gpu: Gpu;
  readonly #pipelines = new Map<string, CompiledPipeline>();
  readonly #usedBy = new Map<number, { groups: Map<string, unknown>; key: string }[]>();

  /**
   * Makes one.
   *
   * @param gpu The device.
   */
  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** How many pipelines were built. */
  get size(): number {
    return this.#pipelines.size;
  }

  /**
   * The pipeline for a request. Compile errors come later, through the device's next checked wait.
   *
   * @throws KW-SHADER-CONSTANT, KW-GPU-LIMIT, KW-GPU-FEATURE at once.
   */
  get(request: PipelineRequest): CompiledPipeline {
    let key = `${request.variant.id}`;
    for (const name in request.constants) key += `,${name}=${request.constants[name]}`;
    let compiled = this.#pipelines.get(key);
    if (!compiled) {
      compiled = this.#compile(request);
      this.#pipelines.set(key, compiled);
      this.#gpu.watch(compiled.error.then((e) => {
        if (!e) return;
        this.#pipelines.delete(key); // so that the next use says it again
        this.#gpu.fail(e);
      }));
    }
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
    let key = "";
    for (let i = 0; i < buffers.length; i++) key += `${buffers[i].id}:${sizes[i]},`;
    const known = compiled.bindGroups.get(key);
    if (known) return known;
    const made = this.makeBindGroups(compiled, variant, buffers, sizes, this.#gpu.stream.uniforms.buffer);
    compiled.bindGroups.set(key, made);
    for (const b of buffers) {
      const uses = this.#usedBy.get(b.id);
      const use = { groups: compiled.bindGroups, key };
      if (uses) uses.push(use);
      else this.#usedBy.set(b.id, [use]);
    }
    return made;
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
    for (const use of this.#usedBy.get(b.id) ?? []) use.groups.delete(use.key);
    this.#usedBy.delete(b.id);
  }

  #compile({ variant, constants }: PipelineRequest): CompiledPipeline {
    this.#checkConstants(variant, constants);
    this.#checkLimits(variant);
    const { device } = this.#gpu;
    const context = currentContext();
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code: variant.code, label: variant.shader.name });
    const layouts = this.#layouts(variant);
    const pipeline = device.createComputePipeline({
      label: variant.shader.name,
      layout: device.createPipelineLayout({ bindGroupLayouts: layouts }),
      compute: { module, entryPoint: variant.entryPoint, constants: { ...constants } },
    });
    const error = device.popErrorScope().then((e) =>
      e ? shaderError(variant, module, e.message, constants, context) : undefined
    );
    return { pipeline, layouts, bindGroups: new Map(), warm: false, error };
  }

  #layouts(variant: ShaderVariant): GPUBindGroupLayout[] {
    const { storage, uniforms } = variant.reflection;
    const groups = Math.max(-1, ...storage.map((s) => s.group), ...uniforms.map((u) => u.group)) + 1;
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
