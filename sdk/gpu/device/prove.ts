import type { Tensor } from "../../tensor/mod.ts";
import { type GpuBackend, GpuStorage } from "./backend.ts";
import type { GpuBuffer } from "../memory/buffer.ts";

/**
 * Waits until it is known that tensors have their values, as far as they are on a GPU; nothing is read back.
 *
 * @throws KW-GPU-MEMORY, KW-GPU-LOST, and whatever else went wrong with the work that made them.
 */
export async function proveTensors(tensors: Iterable<Tensor>): Promise<void> {
  const buffers = new Map<GpuBackend, Set<GpuBuffer>>();
  for (const t of tensors) {
    if (t.released || !(t.storage instanceof GpuStorage)) continue;
    const { backend, buffer } = t.storage;
    const known = buffers.get(backend);
    if (known) known.add(buffer);
    else buffers.set(backend, new Set([buffer]));
  }
  for (const [backend, set] of buffers) await backend.gpu.prove(set);
}
