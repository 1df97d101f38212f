import { checkFields, showValue } from "../arguments.ts";
import { raise } from "../errors.ts";
import type { TensorData } from "./dtype.ts";
import type { TensorSpec } from "./shape.ts";

/** Where a tensor's values are. `meta` has none, `reference` computes in float64 on the host. */
export type DeviceName = "meta" | "webgpu" | "reference";

/** The memory behind one or more tensors (a reshape shares its source's). Counted; released at zero. */
export abstract class Storage {
  /** The backend that made it. */
  abstract readonly backend: Backend;
  /** How many storages were made before this one. */
  readonly born: number = births++;
  #owners = 1;

  /** The memory that this one stands for: itself, or what a reshape in a traced forward shows. */
  get origin(): Storage {
    return this;
  }

  /** Whether the memory is gone. */
  get released(): boolean {
    return this.#owners === 0;
  }

  /** One more tensor shares this memory. */
  retain(): this {
    this.#owners++;
    return this;
  }

  /** One tensor less; the last one frees the memory. */
  release(): void {
    if (this.#owners > 0 && --this.#owners === 0) this.free();
  }

  /** Gives the memory back. Called once. */
  protected abstract free(): void;
}

/** How many storages were made so far. */
export function birthsSoFar(): number {
  return births;
}

/** What a device does for tensors. */
export interface Backend {
  /** The device's name. */
  readonly device: DeviceName;
  /** Memory with unspecified content. `label` names the tensor in errors. */
  allocate(spec: TensorSpec, label?: string): Storage;
  /** Memory filled with `data`, which has one value per element (raw bits for bf16). */
  upload(spec: TensorSpec, data: TensorData, label?: string): Storage;
  /** The values, after all work recorded so far. */
  read(storage: Storage, spec: TensorSpec): Promise<TensorData>;
}

/** Makes `backend` the one that tensors on its device use from now on. */
export function registerBackend(backend: Backend): void {
  checkFields("registerBackend(): backend", backend, {
    device: "a string",
    allocate: "a function",
    upload: "a function",
    read: "a function",
  });
  backends.set(backend.device, backend);
}

/**
 * The backend of a device.
 *
 * @throws KW-GPU-NONE when the device is `webgpu` and none has been opened, KW-TENSOR-DEVICE for another name.
 */
export function backendOf(device: DeviceName): Backend {
  return backends.get(device) ?? refuse(device);
}

// ---------------------------------------------------------------------------

let births = 0;
const backends = new Map<DeviceName, Backend>();

function refuse(device: unknown): never {
  if (device === "webgpu") {
    raise(
      "KW-GPU-NONE",
      `Cannot use the device "webgpu": it has not been opened`,
      "Call `await openGpu()` first.",
    );
  }
  raise(
    "KW-TENSOR-DEVICE",
    `Cannot use the device ${showValue(device)}: there is none of that name`,
    `Known: "meta", "webgpu", "reference".`,
  );
}
