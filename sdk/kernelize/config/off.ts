import { variable } from "../../host/mod.ts";

/** The environment variable that keeps every kernel out, e.g. to see whether a kernel is to blame. */
const KERNELS_VARIABLE = "KERNELWRIGHT_KERNELS";

/** Why no kernel is to be put in, or undefined where they may be: `KERNELWRIGHT_KERNELS=0`. */
export function kernelsOff(): string | undefined {
  return variable(KERNELS_VARIABLE) === "0" ? `${KERNELS_VARIABLE}=0` : undefined;
}
