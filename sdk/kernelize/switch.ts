/** The environment variable that keeps every kernel out, e.g. to see whether a kernel is to blame. */
const KERNELS_VARIABLE = "KERNELWRIGHT_KERNELS";

/** Why no kernel is to be put in, or undefined where they may be: `KERNELWRIGHT_KERNELS=0`. */
export function kernelsOff(): string | undefined {
  return variable(KERNELS_VARIABLE) === "0" ? `${KERNELS_VARIABLE}=0` : undefined;
}

/** A variable of the environment; undefined where there is none, or it may not be read. */
export function variable(name: string): string | undefined {
  const { Deno: deno, process } = globalThis as Host;
  if (!deno) return process?.env?.[name];
  // Where it may not be read, it is not asked for: a question in the terminal would stop the program.
  const { state } = deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? deno.env.get(name) : undefined;
}

// ---------------------------------------------------------------------------

interface Host {
  readonly Deno?: {
    readonly env: { get(name: string): string | undefined };
    readonly permissions: { querySync(p: { name: "env"; variable: string }): { state: string } };
  };
  readonly process?: { readonly env?: Readonly<Record<string, string | undefined>> };
}
