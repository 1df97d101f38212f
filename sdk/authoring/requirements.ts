import { checkArgument, checkFields, showValue } from "../arguments.ts";
import type { DType } from "../tensor/mod.ts";

/** What a kernel needs of the device and of the model. */
export interface Requirements {
  /** WebGPU features, e.g. `shader-f16`, `subgroups`. */
  readonly features?: readonly string[];
  /** Limits and the least value of each, e.g. `{ maxComputeWorkgroupStorageSize: 32768 }`. */
  readonly limits?: Readonly<Record<string, number>>;
  /** The dtypes of parameters that it can work with; defaults to any. */
  readonly dtypes?: readonly DType[];
}

/** The device's side of {@linkcode Requirements}. */
export interface Capabilities {
  /** The features that it has. */
  readonly features: ReadonlySet<string>;
  /** Its limits. */
  readonly limits: Readonly<Record<string, number>>;
}

/**
 * The requirements that are not met, one sentence each.
 *
 * @example
 * ```ts
 * import { unmetRequirements } from "@kernelwright/sdk/inspect";
 * import { assertEquals } from "@std/assert";
 *
 * const device = { features: new Set(["shader-f16"]), limits: {} };
 * assertEquals(unmetRequirements({ features: ["subgroups"] }, device, []), ['the adapter lacks "subgroups"']);
 * ```
 */
export function unmetRequirements(
  needs: Requirements,
  device: Capabilities,
  dtypes: Iterable<DType>,
): string[] {
  checkArgument("unmetRequirements(): needs", needs, "an object");
  checkFields("unmetRequirements(): device", device, { features: "an object", limits: "an object" });
  checkArgument("unmetRequirements(): dtypes", dtypes, "things to go through");
  if (needs.features !== undefined) {
    checkArgument("unmetRequirements(): needs.features", needs.features, "strings in an array");
  }
  if (needs.dtypes !== undefined) {
    checkArgument("unmetRequirements(): needs.dtypes", needs.dtypes, "strings in an array");
  }
  checkFields("unmetRequirements(): device.features", device.features, { has: "a function" });
  const unmet: string[] = [];
  for (const f of needs.features ?? []) if (!device.features.has(f)) unmet.push(`the adapter lacks "${f}"`);
  for (const [name, least] of Object.entries(needs.limits ?? {})) {
    const has = device.limits[name];
    if (has === undefined) unmet.push(`the adapter has no limit "${name}"`);
    else if (has < least) unmet.push(`${name} is ${has}, and ${least} is needed`);
  }
  for (const dtype of new Set(dtypes)) {
    if (needs.dtypes && !needs.dtypes.includes(dtype)) {
      unmet.push(
        `parameters are ${typeof dtype === "string" ? dtype : showValue(dtype)}, and the kernel takes ${
          needs.dtypes.join(" or ")
        }`,
      );
    }
  }
  return unmet;
}
