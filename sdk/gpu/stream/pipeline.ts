import { largestOf } from "../../extremes.ts";
import { currentContext, inContext, type KernelwrightError, type Where } from "../../errors.ts";
import { BindGroupCache } from "./bind_groups.ts";
import type { Faults, Proof } from "../memory/faults.ts";
import { checkLimits } from "./limits.ts";
import type { GpuBuffer } from "../memory/buffer.ts";
import { checkConstants, driverConstants } from "../shader/overrides.ts";
import type { ShaderVariant } from "../shader/shader.ts";
import { shaderError } from "../shader/error.ts";

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
  /** Which of the variant's storage buffers it may write. */
  readonly writes: readonly boolean[];
  /** Whether it compiles. */
  readonly proof: Proof;
  /** Resolves when the driver has said whether it compiles; with the error if not. */
  readonly error: Promise<KernelwrightError | undefined>;
}

/**
 * A model has some dozens. Where constants keep changing, those used longest ago go: each may hold a quarter of a
 * megabyte in the driver. A captured plan holds its own, and does not lose them.
 */
const MAX_PIPELINES = 512;

/** Pipelines by shader, aliases and constants; bind groups by pipeline and buffers. */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #faults: Faults;
  readonly #uniforms: () => GPUBuffer;
  readonly #pipelines = new Map<string, CompiledPipeline>();
  readonly #beside = new Map<string, GPUComputePipeline>();
  readonly #bindGroups = new BindGroupCache();
  #uses = 0;

  /**
   * Makes one.
   *
   * @param uniforms Where the uniforms of a dispatch lie.
   */
  constructor(device: GPUDevice, faults: Faults, uniforms: () => GPUBuffer) {
    [this.#device, this.#faults, this.#uniforms] = [device, faults, uniforms];
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
   * The pipeline for a request. Compile errors come later: by its proof, or when something is read that depends on it.
   *
   * @throws KW-SHADER-CONSTANT, KW-GPU-LIMIT, KW-GPU-FEATURE at once.
   */
  get(request: PipelineRequest): CompiledPipeline {
    const key = keyOf(request);
    let compiled = this.#pipelines.get(key);
    if (!compiled) {
      if (this.#pipelines.size >= MAX_PIPELINES) this.#evict();
      const made = compiled = this.#compile(request);
      this.#pipelines.set(key, made);
      made.proof.done.then(() => {
        // So that the next use says it again.
        if (made.proof.failure && this.#pipelines.get(key) === made) this.#drop(key, made);
      });
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
    await this.compiled(made);
  }

  /**
   * Waits until the driver has said whether pipelines compile.
   *
   * @throws KW-SHADER-COMPILE for the first that does not; KW-GPU-LOST.
   */
  async compiled(made: readonly CompiledPipeline[]): Promise<void> {
    await Promise.all(made.map((m) => m.proof.done));
    const failed = made.find((m) => m.proof.failure);
    if (failed) this.#faults.tell(failed.proof.failure!);
    this.#faults.throwIfLost();
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
      () => this.makeBindGroups(compiled, variant, buffers, sizes, this.#uniforms()),
    );
  }

  /** Whether a request can be had without compiling. */
  has(request: PipelineRequest): boolean {
    const key = keyOf(request);
    return this.#pipelines.has(key) || this.#beside.has(key);
  }

  /** Compiles while other work goes on, where the engine can; {@linkcode has} tells when it is done. */
  async compileInBackground(request: PipelineRequest): Promise<void> {
    try {
      // A module that does not compile is an error of the device too; it is found again where the pipeline is used.
      const { result: { descriptor }, proof } = this.#faults.scoped(() => this.#describe(request));
      proof.done.then(() => this.#faults.forget(proof.failure));
      const made = await this.#device.createComputePipelineAsync(descriptor);
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
    const make = () =>
      compiled.layouts.map((layout, g) => {
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
        return this.#device.createBindGroup({ layout, entries });
      });
    // What becomes of a buffer that may have no memory is told by its proof.
    return buffers.some((b) => b.proof) ? this.#faults.muted(make) : make();
  }

  /** Forgets the bind groups that hold a buffer, before it is destroyed. */
  forgetBuffer(b: GpuBuffer): void {
    this.#bindGroups.forgetBuffer(b);
  }

  /** Drops the quarter that was used longest ago: one by one, each would be looked for among all. */
  #evict(): void {
    const byAge = [...this.#pipelines].sort(([, a], [, b]) => a.lastUse - b.lastUse);
    for (const [key, compiled] of byAge.slice(0, MAX_PIPELINES / 4)) this.#drop(key, compiled);
  }

  #drop(key: string, compiled: CompiledPipeline): void {
    this.#pipelines.delete(key);
    this.#bindGroups.forgetPipeline(compiled);
  }

  #compile({ variant, constants }: PipelineRequest): CompiledPipeline {
    this.#checkConstants(variant, constants);
    checkLimits(variant, constants, this.#device);
    const context = currentContext();
    const beside = this.#beside.get(keyOf({ variant, constants }));
    let described: Described | undefined;
    const { result: pipeline, proof } = this.#faults.scoped(() => {
      described = this.#describe({ variant, constants });
      return beside ?? this.#device.createComputePipeline(described.descriptor);
    }, (e) => shaderError(variant, described!.module, e.message, constants, context));
    const writes = writesOf(variant);
    const error = proof.done.then(() => proof.failure);
    return { pipeline, layouts: described!.layouts, lastUse: 0, warm: false, writes, proof, error };
  }

  #describe({ variant, constants }: PipelineRequest): Described {
    const device = this.#device;
    const module = device.createShaderModule({ code: variant.code, label: variant.shader.name });
    const layouts = this.#layouts(variant);
    const descriptor = {
      label: variant.shader.name,
      layout: device.createPipelineLayout({ bindGroupLayouts: layouts }),
      compute: { module, entryPoint: variant.entryPoint, constants: driverConstants(variant, constants) },
    };
    return { module, layouts, descriptor };
  }

  #layouts(variant: ShaderVariant): GPUBindGroupLayout[] {
    const { storage, uniforms } = variant.reflection;
    const groups = largestOf([...storage, ...uniforms].map((b) => b.group), -1) + 1;
    return Array.from({ length: groups }, (_, g) =>
      this.#device.createBindGroupLayout({
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
    checkConstants(variant, constants);
  }
}

// ---------------------------------------------------------------------------

interface Described {
  readonly module: GPUShaderModule;
  readonly layouts: readonly GPUBindGroupLayout[];
  readonly descriptor: GPUComputePipelineDescriptor;
}

/**
 * What the shader may write. One that does not compile for writing what it declares as read should have written it, and
 * one that writes nothing anything.
 */
function writesOf({ code, reflection: { storage } }: ShaderVariant): boolean[] {
  const writes = storage.map((s) =>
    s.writes || new RegExp(`[;{}]\\s*${s.name}\\s*[[.][^;=]*=[^=]`).test(code)
  );
  return writes.includes(true) ? writes : storage.map(() => true);
}

function keyOf({ variant, constants }: PipelineRequest): string {
  let key = `${variant.id}`;
  for (const name in constants) key += `,${name}=${constants[name]}`;
  return key;
}
