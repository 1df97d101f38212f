import { Faults } from "../memory/faults.ts";
import { Ledger } from "../memory/ledger.ts";
import type { GpuBuffer } from "../memory/buffer.ts";
import { BufferPool } from "../memory/pool.ts";
import { PipelineCache } from "../stream/pipeline.ts";
import { Readback } from "../stream/readback.ts";
import { Stream } from "../stream/stream.ts";

/** One WebGPU device with what works on it, below tensors. */
export class GpuCore {
  /** The WebGPU device. */
  readonly device: GPUDevice;
  /** What went wrong. */
  readonly faults: Faults;
  /** What depends on what, until it is known to be good. */
  readonly ledger: Ledger = new Ledger(() => this.pool.all);
  /** Buffers. */
  readonly pool: BufferPool;
  /** Recorded work. */
  readonly stream: Stream;
  /** Reads buffers back. */
  readonly readback: Readback;
  /** Pipelines and bind groups. */
  readonly pipelines: PipelineCache;
  /** The most workgroups in a dimension. Kept, since asking the driver costs more than a dispatch's other checks. */
  readonly maxWorkgroups: number;

  /**
   * Makes one.
   *
   * @param onLost Called once, when the device is gone.
   */
  constructor(device: GPUDevice, onLost: () => void) {
    this.device = device;
    this.maxWorkgroups = device.limits.maxComputeWorkgroupsPerDimension;
    this.faults = new Faults(device, onLost);
    this.pipelines = new PipelineCache(device, this.faults, () => this.stream.uniforms.buffer);
    this.pool = new BufferPool(device, this.faults, (b) => this.pipelines.forgetBuffer(b));
    this.stream = new Stream(device, this.faults, this.ledger, (submit) => this.pool.trim(submit));
    this.readback = new Readback(device, this.faults, this.ledger, this.stream);
  }

  /** The features that the device was opened with. */
  get features(): ReadonlySet<string> {
    return this.device.features as unknown as ReadonlySet<string>;
  }

  /** The limits that the device was opened with. */
  get limits(): GPUSupportedLimits {
    return this.device.limits;
  }

  /**
   * Waits until everything recorded so far has run.
   *
   * @throws KW-GPU-LOST, KW-GPU-MEMORY, and what went wrong with any work since the last time, if nobody was told of it.
   */
  async sync(): Promise<void> {
    await this.idle();
    this.faults.throwUntold();
  }

  /**
   * Waits until everything recorded so far has run, well or not: that is told where its results are read.
   *
   * @throws KW-GPU-LOST, KW-GPU-MEMORY when the device is gone; an error that came as an event.
   */
  async idle(): Promise<void> {
    this.faults.throwIfLost();
    this.stream.submit();
    await this.device.queue.onSubmittedWorkDone().catch(() => {}); // of a device that is lost
    await this.ledger.settled({ proofs: [] });
    await this.faults.arrive();
    this.faults.throwIfLost();
    this.faults.throwStray();
  }

  /**
   * Waits until it is known that what was recorded for these buffers so far is good.
   *
   * @throws what {@linkcode Readback.read} throws.
   */
  async prove(buffers: Iterable<GpuBuffer>): Promise<void> {
    this.faults.throwIfLost();
    const readings = this.stream.watch(buffers);
    await this.ledger.settled({ proofs: readings.flatMap((r) => r.proofs) });
    await this.faults.arrive();
    const failed = readings.map((r) => this.ledger.end(r)).find((f) => f !== undefined);
    if (failed) this.faults.tell(failed);
    this.faults.throwIfLost();
    this.faults.throwStray();
  }

  /** Destroys the free buffers. */
  trim(): void {
    this.stream.submit();
    this.pool.trim(0, true);
  }

  /**
   * Does nothing while the device is there.
   *
   * @throws KW-GPU-LOST when the device is gone; KW-GPU-MEMORY once before it, if that is why.
   */
  throwIfLost(cause?: unknown): void {
    this.faults.throwIfLost(cause);
  }
}
