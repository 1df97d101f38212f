import { dirname, join } from "@std/path";
import type { RefResolver } from "../kernelize/mod.ts";
import { kernelResolver, userSettings } from "../registry/mod.ts";

/** The resolver for a kernels.json: its lock is the kernels.lock beside it, and trusted are whom the user trusts. */
export async function resolverFor(kernels: string): Promise<RefResolver> {
  return kernelResolver({ ...await userSettings(), lock: join(dirname(kernels), "kernels.lock") });
}
