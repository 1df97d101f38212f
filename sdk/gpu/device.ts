import { checkOptions, type OptionNames, refuseArgument } from "../arguments.ts";
import { raise } from "../errors.ts";
import { registerBackend } from "../tensor/mod.ts";
import { GpuBackend } from "./device/backend.ts";
import { GpuCore } from "./device/core.ts";
import { disableOpenGL } from "./device/no_opengl.ts";

/** Options of {@linkcode openGpu}. */
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

const OPTIONS: OptionNames<GpuOptions> = { powerPreference: true, requiredFeatures: true };
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

/** An opened WebGPU device. What tensors and operators do goes through it by itself. */
export interface Gpu {
  /** The adapter's name. */
  readonly info: AdapterInfo;
  /** The features that the device was opened with. */
  readonly features: ReadonlySet<string>;
  /** The limits that the device was opened with. */
  readonly limits: GPUSupportedLimits;
  /**
   * Waits until everything recorded so far has run.
   *
   * @throws KW-GPU-LOST, KW-GPU-MEMORY, and what went wrong with any work since the last time, if nobody was told of it.
   */
  sync(): Promise<void>;
  /** Destroys the free buffers. */
  trim(): void;
  /** Destroys the device and all its buffers. Tensors on it can no longer be used. */
  destroy(): void;
}

/** All of an opened device: its pool, stream, caches and tensors. */
export class OpenedGpu extends GpuCore implements Gpu {
  /** The adapter's name. */
  readonly info: AdapterInfo;
  /** Tensors on this device. */
  readonly backend: GpuBackend;

  /** Use {@linkcode openGpu}. */
  constructor(device: GPUDevice, info: AdapterInfo) {
    super(device, () => this.#retire());
    this.info = info;
    this.backend = new GpuBackend(this);
  }

  /** Destroys the device and all its buffers. Tensors on it can no longer be used. */
  destroy(): void {
    this.faults.lose("it was destroyed");
    this.#retire();
    this.backend.live.clear();
    this.pool.destroy();
    this.readback.destroy();
    this.device.destroy();
  }

  /** The next openGpu() opens another device. Until then its backend stays, and says that the device is gone. */
  #retire(): void {
    if (current !== this) return;
    current = undefined;
    gone = this;
  }
}

/**
 * Opens a device and makes it the one that tensors use. A second call returns the first one's device.
 *
 * @throws KW-GPU-NONE when there is no adapter, KW-GPU-FEATURE when it lacks what was required.
 *
 * @example
 * ```ts
 * import { gpuIfOpen, openGpu, Tensor } from "@kernelwright/sdk";
 *
 * const gpu = gpuIfOpen() ?? await openGpu({ powerPreference: "high-performance" });
 * console.log(gpu.info.description, gpu.features.has("shader-f16"));
 * using x = Tensor.zeros([1024]); // on that device
 * ```
 */
export async function openGpu(options: GpuOptions = {}): Promise<Gpu> {
  checkOptions("openGpu(): options", options, OPTIONS);
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
 * @throws KW-GPU-NONE; KW-GPU-LOST when it is gone.
 */
export function currentGpu(): OpenedGpu {
  if (!current) gone?.throwIfLost();
  return current ?? raise("KW-GPU-NONE", "No GPU device has been opened", "Call `await openGpu()` first.");
}

/**
 * The opened device, or undefined.
 * See the example of {@linkcode openGpu}.
 */
export function gpuIfOpen(): Gpu | undefined {
  return current;
}

/** All of a device that {@linkcode openGpu} gave. */
export function internalsOf(gpu: Gpu, at: string): OpenedGpu {
  return gpu instanceof OpenedGpu ? gpu : refuseArgument(at, gpu, "what openGpu() gave");
}

/** All of the opened device, or undefined. */
export function openedGpu(): OpenedGpu | undefined {
  return current;
}

// ---------------------------------------------------------------------------

let current: OpenedGpu | undefined;
let opening: Promise<OpenedGpu> | undefined;
/** The last one, once it is lost. */
let gone: OpenedGpu | undefined;

async function open(options: GpuOptions): Promise<OpenedGpu> {
  disableOpenGL();
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
  current = new OpenedGpu(device, {
    vendor,
    architecture,
    device: name,
    description,
    software: isFallbackAdapter ?? false,
  });
  gone = undefined;
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
