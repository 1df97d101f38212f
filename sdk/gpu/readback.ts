import type { GpuBuffer } from "./pool.ts";
import type { Stream } from "./stream.ts";

const MAP_READ = 0x01 | 0x08; // MAP_READ | COPY_DST

/**
 * Copies a buffer to the host after everything recorded so far has run.
 *
 * The one place that maps buffers: a driver's workaround goes here and nowhere else.
 */
export async function readBuffer(
  device: GPUDevice,
  stream: Stream,
  source: GpuBuffer,
  bytes: number,
): Promise<ArrayBuffer> {
  const size = Math.max(4, Math.ceil(bytes / 4) * 4);
  const staging = device.createBuffer({ size, usage: MAP_READ });
  try {
    stream.copyTo(source, 0, staging, 0, size);
    stream.submit();
    await staging.mapAsync(GPUMapMode.READ);
    const result = staging.getMappedRange().slice(0, bytes);
    staging.unmap();
    return result;
  } finally {
    staging.destroy();
  }
}
