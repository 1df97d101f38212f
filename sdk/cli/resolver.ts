import { dirname, join } from "@std/path";
import { locate } from "../checkpoint/mod.ts";
import type { RefResolver } from "../kernelize/mod.ts";
import { kernelResolver, userSettings } from "../registry/mod.ts";

/** The resolver for a kernels.json: its lock is the kernels.lock beside it, and trusted are whom the user trusts. */
export async function resolverFor(kernels: string): Promise<RefResolver> {
  return kernelResolver({ ...await userSettings(), lock: lockFor(kernels) });
}

/** The lock of a kernels.json: beside it, or in the working folder, where `lock` writes, for one at an address. */
export function lockFor(kernels: string): string {
  const place = locate(kernels);
  return typeof place === "string" ? join(dirname(place), "kernels.lock") : "kernels.lock";
}
