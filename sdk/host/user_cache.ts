/** Files of the user's cache: they speed up later runs, and may always be missing. */

/**
 * `kernelwright/<name>` below the system's cache folder; undefined in a page, and where the runtime would have to ask
 * before it may be read and written.
 */
export function userCacheFile(name: string): string | undefined {
  const home = variable("HOME");
  const folder = variable("XDG_CACHE_HOME") || variable("LOCALAPPDATA") || (home && `${home}/.cache`);
  if (!folder) return undefined;
  const path = `${folder}/kernelwright/${name}`;
  return mayUse(path) ? path : undefined;
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

type Permission =
  | { readonly name: "env"; readonly variable: string }
  | { readonly name: "read" | "write"; readonly path: string };

interface Host {
  readonly Deno?: {
    readonly env: { get(name: string): string | undefined };
    readonly permissions: { querySync(p: Permission): { state: string } };
  };
  readonly process?: { readonly env?: Readonly<Record<string, string | undefined>> };
}

/** A file that nobody named is not worth a question in the terminal. */
function mayUse(path: string): boolean {
  const deno = (globalThis as Host).Deno;
  return !deno ||
    (["read", "write"] as const).every((name) =>
      deno.permissions.querySync({ name, path }).state === "granted"
    );
}
