import { checkArgument } from "../arguments.ts";
import { KernelwrightError, raise, type Where } from "../errors.ts";
import { registerBackend, unregisterBackend } from "../tensor/mod.ts";
import { GpuBackend } from "./backend.ts";
import { leaveOutOpenGL } from "./no_opengl.ts";
import { BufferPool } from "./pool.ts";
import { PipelineCache } from "./pipeline.ts";
import { Readback } from "./readback.ts";
import { Stream } from "./stream.ts";

/** What {@linkcode openGpu} may be told. */
export interface GpuOptions {
  /** Which adapter to prefer where there are several. */
  readonly powerPreference?: GPUPowerPreference;
  /** Features that must be there; every useful feature that the adapter has is asked for anyway. */
  readonly requiredFeatures?: readonly string[];
}

/** What is known of an adapter. */
export interface AdapterInfo {
  /** The vendor's name or number. */
  readonly vendor: string;
  /** The GPU's family, where the browser tells. */
  readonly architecture: string;
  /** The device, where the browser tells. */
  readonly device: string;
  /** A readable name. */
  readonly description: string;
  /** Whether it computes on the processor (WebGPU's "fallback adapter"). */
  readonly software?: boolean;
}

const WANTED_FEATURES = ["shader-f16", "timestamp-query", "subgroups"];
const WANTED_LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
  "maxBindGroups",
] as const;

/** One opened WebGPU device with its pool, stream and caches. */
export class Gpu {
  /** The WebGPU device. */
  readonly device: GPUDevice;
  /** The adapter's name. */
  readonly info: AdapterInfo;
  /** Buffers. */
  readonly pool: BufferPool;
  /** Recorded work. */
  readonly stream: Stream;
  /** Reads buffers back. */
  readonly readback: Readback;
  /** Pipelines and bind groups. */
  readonly pipelines: PipelineCache;
  /** Tensors on this device. */
  readonly backend: GpuBackend;
  /** The most workgroups in a dimension. Kept, since asking the driver costs more than a dispatch's other checks. */
  readonly maxWorkgroups: number;
  #lost: string | undefined;
  #failures: KernelwrightError[] = [];
  #pending: Promise<void>[] = [];

  /** Use {@linkcode openGpu}. */
  constructor(device: GPUDevice, info: AdapterInfo) {
    this.device = device;
    this.info = info;
    this.maxWorkgroups = device.limits.maxComputeWorkgroupsPerDimension;
    this.pipelines = new PipelineCache(this);
    this.pool = new BufferPool(device, (b) => this.pipelines.forgetBuffer(b));
    this.stream = new Stream(device, (submit) => this.pool.trim(submit));
    this.readback = new Readback(device, this.stream);
    this.backend = new GpuBackend(this);
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.fail(describeGpuError((event as GPUUncapturedErrorEvent).error));
    });
    device.lost.then((why) => {
      this.#lost ??= why.message || why.reason || "unknown reason";
      this.#retire();
    });
  }

  /** The features that the device was opened with. */
  get features(): ReadonlySet<string> {
    return this.device.features as unknown as ReadonlySet<string>;
  }

  /** The limits that the device was opened with. */
  get limits(): GPUSupportedLimits {
    return this.device.limits;
  }

  /** Remembers an error of work that was recorded earlier; the next {@linkcode Gpu.checked} throws it. */
  fail(error: KernelwrightError): void {
    this.#failures.push(error);
  }

  /** Has the next {@linkcode Gpu.checked} wait for `work`, which reports through {@linkcode Gpu.fail}. */
  watch(work: Promise<void>): void {
    this.#pending.push(work);
  }

  /** Runs something that waits for the GPU, and turns whatever went wrong since the last time into our error. */
  async checked<T>(wait: () => Promise<T>): Promise<T> {
    this.throwIfLost();
    await this.#throwFailures();
    let result: T;
    try {
      result = await wait();
    } catch (cause) {
      this.throwIfLost(cause);
      await this.#throwFailures();
      raise(
        "KW-GPU-VALIDATION",
        `Cannot read from the GPU: ${messageOf(cause)}`,
        undefined,
        undefined,
        cause,
      );
    }
    await this.#throwFailures();
    return result;
  }

  /** Waits until everything recorded so far has run. */
  async sync(): Promise<void> {
    await this.checked(async () => {
      this.stream.submit();
      await this.device.queue.onSubmittedWorkDone();
    });
  }

  /** Destroys the free buffers. */
  trim(): void {
    this.stream.submit();
    this.pool.trim(0, true);
  }

  /**
   * Does nothing while the device is there.
   *
   * @throws KW-GPU-LOST when the device is gone.
   */
  throwIfLost(cause?: unknown): void {
    if (this.#lost === undefined) return;
    raise(
      "KW-GPU-LOST",
      `The GPU device was lost: ${this.#lost}`,
      "Open a device again with openGpu() and load the model again; if it recurs, use smaller shapes.",
      undefined,
      cause,
    );
  }

  /** Destroys the device and all its buffers. Tensors on it can no longer be used. */
  destroy(): void {
    this.#lost ??= "it was destroyed";
    this.#retire();
    this.backend.live.clear();
    this.pool.destroy();
    this.readback.destroy();
    this.device.destroy();
  }

  /** The next openGpu() opens another device. */
  #retire(): void {
    unregisterBackend(this.backend);
    if (current === this) current = undefined;
  }

  async #throwFailures(): Promise<void> {
    while (this.#pending.length > 0) await Promise.all(this.#pending.splice(0));
    if (this.#failures.length === 0) return;
    // The cause comes before what it broke: a shader that does not compile also spoils the pass it is in.
    const failures = this.#failures.splice(0);
    this.stream.discard();
    throw failures.find((f) => f.code.startsWith("KW-SHADER")) ?? failures[0];
  }
}

/**
 * Opens a device and makes it the one that tensors use. A second call returns the first one's device.
 *
 * @throws KW-GPU-NONE when there is no adapter, KW-GPU-FEATURE when it lacks what was required.
 */
export async function openGpu(options: GpuOptions = {}): Promise<Gpu> {
  checkArgument("openGpu(): options", options, "an object");
  if (current) {
    requireFeatures(current.features, options);
    return current;
  }
  // Two callers at once share one device.
  return await (opening ??= open(options).finally(() => opening = undefined));
}

/**
 * The device that was opened.
 *
 * @throws KW-GPU-NONE
 */
export function currentGpu(): Gpu {
  return current ?? raise("KW-GPU-NONE", "No GPU device has been opened", "Call `await openGpu()` first.");
}

/** The opened device, or undefined. */
export function gpuIfOpen(): Gpu | undefined {
  return current;
}

// ---------------------------------------------------------------------------

let current: Gpu | undefined;
let opening: Promise<Gpu> | undefined;

async function open(options: GpuOptions): Promise<Gpu> {
  leaveOutOpenGL();
  const adapter = await globalThis.navigator?.gpu?.requestAdapter({
    powerPreference: options.powerPreference,
  })
    .catch(() => null);
  if (!adapter) raise("KW-GPU-NONE", "No WebGPU adapter was found", howToGetAnAdapter());
  const features = adapter.features as unknown as ReadonlySet<string>;
  requireFeatures(features, options);
  const asked = new Set([
    ...WANTED_FEATURES.filter((f) => features.has(f)),
    ...options.requiredFeatures ?? [],
  ]);
  const device = await adapter.requestDevice({
    requiredFeatures: [...asked] as GPUFeatureName[],
    requiredLimits: Object.fromEntries(WANTED_LIMITS.map((name) => [name, adapter.limits[name]])),
  });
  const { vendor, architecture, device: name, description, isFallbackAdapter } = adapter.info;
  current = new Gpu(device, {
    vendor,
    architecture,
    device: name,
    description,
    software: isFallbackAdapter ?? false,
  });
  registerBackend(current.backend);
  return current;
}

function requireFeatures(features: ReadonlySet<string>, options: GpuOptions): void {
  const missing = (options.requiredFeatures ?? []).filter((f) => !features.has(f));
  if (missing.length === 0) return;
  raise(
    "KW-GPU-FEATURE",
    `The adapter lacks ${missing.map((f) => JSON.stringify(f)).join(", ")}`,
    `It has: ${[...features].join(", ") || "no optional features"}.`,
  );
}

function howToGetAnAdapter(): string {
  if (Reflect.get(globalThis, "isSecureContext") === false) {
    return "A page has WebGPU over https, or on localhost.";
  }
  if (!globalThis.navigator?.gpu) {
    return "This runtime has no WebGPU: use Deno 2.9 or newer, or a browser that has it.";
  }
  return "Install a Vulkan driver. Without a GPU, Mesa's software driver serves: on Debian and Ubuntu " +
    "`apt-get install mesa-vulkan-drivers libvulkan1`.";
}

function describeGpuError(error: GPUError): KernelwrightError {
  const memory = error.constructor.name === "GPUOutOfMemoryError";
  const where: Where = {};
  return memory
    ? new KernelwrightError({
      code: "KW-GPU-MEMORY",
      what: `The GPU is out of memory: ${error.message}`,
      fix: "Load the weights as f16, use a shorter context, or dispose tensors that are no longer needed.",
      where,
    })
    : new KernelwrightError({ code: "KW-GPU-VALIDATION", what: error.message, where });
}

function messageOf(e: unknown): string {
  return e instanceof Error ? e.message : String(e);
}
