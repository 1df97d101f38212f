/**
 * Keeps Deno from opening OpenGL beside the API that is used.
 *
 * By default, Deno opens every API that there is when it is first asked for an adapter: on Linux OpenGL, too, through
 * libEGL. libEGL frees what it keeps of a thread when that thread ends, and what it keeps of all threads when the
 * process does. A thread that ends at that very moment, as that of `deno test` does with its file, has its part freed
 * twice, and the process is aborted, after all its tests have passed. Vulkan has nothing of the kind.
 *
 * Nothing is lost: over OpenGL some operators give other results (no NaN comes through `relu`).
 */

const VARIABLE = "DENO_WEBGPU_BACKEND";

/** Has Deno leave OpenGL out, unless the user chose APIs or does not let us. Must come before the first adapter. */
export function disableOpenGL(): void {
  if (!Object.hasOwn(globalThis, "Deno")) return; // a page chooses itself
  const { state } = Deno.permissions.querySync({ name: "env", variable: VARIABLE }); // asks nobody
  if (state === "granted" && Deno.env.get(VARIABLE) === undefined) {
    Deno.env.set(VARIABLE, "vulkan,metal,dx12");
  }
}
