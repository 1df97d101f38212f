/** Plain WebGPU calls, as one would write them by hand for one kernel: no pool, no checks, no cache. */

const USAGE = 0x80 | 0x04 | 0x08; // STORAGE | COPY_SRC | COPY_DST

/** One dispatch with everything made beforehand. */
export interface Step {
  /** The pipeline. */
  readonly pipeline: GPUComputePipeline;
  /** Its bind group. */
  readonly group: GPUBindGroup;
  /** Workgroup counts. */
  readonly workgroups: readonly [number, number?, number?];
}

/** A device and the pass that is open. */
export class RawGpu {
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #recorded = 0;
  /** The first thing that went wrong. */
  failure?: string;
  readonly #staging: GPUBuffer;
  #owned: GPUBuffer[] = [];

  /** Use {@linkcode openRaw}. */
  constructor(readonly device: GPUDevice) {
    this.#staging = device.createBuffer({ size: 1 << 16, usage: 0x01 | 0x08, mappedAtCreation: true });
    this.#staging.unmap();
  }

  /** A buffer with content, or of so many bytes. */
  buffer(content: ArrayBufferView<ArrayBuffer> | number): GPUBuffer {
    const bytes = typeof content === "number" ? content : content.byteLength;
    const made = this.device.createBuffer({ size: Math.max(16, Math.ceil(bytes / 4) * 4), usage: USAGE });
    if (typeof content !== "number") this.device.queue.writeBuffer(made, 0, content);
    this.#owned.push(made);
    return made;
  }

  /** A compute pipeline from WGSL with one entry point, `main`. */
  pipeline(code: string): GPUComputePipeline {
    const module = this.device.createShaderModule({ code });
    return this.device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main" } });
  }

  /** A dispatch of a pipeline with buffers at bindings 0, 1, 2 … */
  step(pipeline: GPUComputePipeline, buffers: readonly GPUBuffer[], ...workgroups: [number, number?]): Step {
    const group = this.device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    return { pipeline, group, workgroups };
  }

  /** Records dispatches into the open pass. */
  record(steps: readonly Step[]): void {
    for (const s of steps) {
      const pass = this.#pass ??= (this.#encoder ??= this.device.createCommandEncoder()).beginComputePass();
      pass.setPipeline(s.pipeline);
      pass.setBindGroup(0, s.group);
      pass.dispatchWorkgroups(...s.workgroups);
      if (++this.#recorded >= 256) this.submit();
    }
  }

  /** Submits what was recorded. */
  submit(): void {
    this.#pass?.end();
    if (this.#encoder) this.device.queue.submit([this.#encoder.finish()]);
    this.#encoder = this.#pass = undefined;
    this.#recorded = 0;
  }

  /** Waits for everything: the first bytes of a buffer, mapped. */
  async wait(buffer: GPUBuffer, bytes = 4): Promise<ArrayBuffer> {
    this.#pass?.end();
    this.#pass = undefined;
    this.#encoder ??= this.device.createCommandEncoder();
    this.#encoder.copyBufferToBuffer(buffer, 0, this.#staging, 0, bytes);
    this.submit();
    const mapped = this.#staging.mapAsync(1);
    let content: ArrayBuffer;
    try {
      content = this.#staging.getMappedRange().slice(0, bytes); // Deno: mapped as soon as the call returns
    } catch {
      await mapped;
      content = this.#staging.getMappedRange().slice(0, bytes);
    }
    this.#staging.unmap();
    if (this.failure) throw new Error(this.failure);
    return content;
  }

  /** Numbers at places of a buffer. */
  async values(buffer: GPUBuffer, dtype: string, at: readonly number[]): Promise<number[]> {
    this.submit();
    const all = this.device.createBuffer({ size: buffer.size, usage: 0x01 | 0x08 });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, 0, all, 0, buffer.size);
    this.device.queue.submit([encoder.finish()]);
    await all.mapAsync(1);
    const bytes = all.getMappedRange().slice(0);
    all.destroy();
    const numbers = dtype === "f16" ? new Float16Array(bytes) : new Float32Array(bytes);
    return at.map((i) => numbers[i]);
  }

  /** Destroys every buffer that was made. */
  drop(): void {
    this.submit();
    for (const b of this.#owned) b.destroy();
    this.#owned = [];
  }
}

/** Opens a device with all that the adapter has. */
export async function openRaw(): Promise<RawGpu> {
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) throw new Error("no WebGPU adapter");
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const device = await adapter.requestDevice({
    requiredFeatures: (["shader-f16"] as const).filter((f) => adapter.features.has(f)),
    requiredLimits: { maxBufferSize, maxStorageBufferBindingSize },
  });
  const gpu = new RawGpu(device);
  device.addEventListener("uncapturederror", (e) => {
    gpu.failure ??= (e as GPUUncapturedErrorEvent).error.message;
  });
  return gpu;
}

/** One way to do a case: the fastest of several becomes the baseline. */
export interface Candidate {
  /** What it is called in notes. */
  readonly name: string;
  /** Makes it. */
  readonly make: () => readonly Step[];
}

/** The fastest candidate. All take turns at trains of calls, a few times; what is twice as slow drops out. */
export async function fastest(
  gpu: RawGpu,
  out: GPUBuffer,
  candidates: readonly Candidate[],
): Promise<readonly Step[]> {
  const time = async (steps: readonly Step[], calls: number) => {
    const start = performance.now();
    for (let i = 0; i < calls; i++) gpu.record(steps);
    await gpu.wait(out);
    return (performance.now() - start) / calls;
  };
  let runners: { steps: readonly Step[]; calls: number; ms: number }[] = [];
  for (const c of candidates) {
    const steps = c.make();
    await time(steps, 1); // compiles
    const calls = Math.min(64, Math.ceil(5 / await time(steps, 1)));
    runners.push({ steps, calls, ms: Infinity });
  }
  for (let round = 0; round < 6; round++) {
    for (const r of runners) r.ms = Math.min(r.ms, await time(r.steps, r.calls));
    runners.sort((a, b) => a.ms - b.ms);
    runners = runners.filter((r) => r.ms < 2 * runners[0].ms);
  }
  return runners[0].steps;
}
