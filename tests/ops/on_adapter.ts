import { currentGpu } from "../../sdk/gpu/mod.ts";

/** Runs `fn` as if the adapter were, or were not, a software one: both families of shaders run on either. */
export async function onAdapter<T>(software: boolean, fn: () => Promise<T>): Promise<T> {
  const info = currentGpu().info as { software?: boolean };
  const before = info.software;
  info.software = software;
  try {
    return await fn();
  } finally {
    info.software = before;
  }
}
