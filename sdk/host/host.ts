/**
 * What a runtime has besides the web's own interfaces: Deno, Node.js and Bun have modules for files, a page has none.
 *
 * The modules are asked for and not imported, so that a page's bundler has nothing to resolve.
 */

/** The modules that are asked for. */
export interface BuiltinModules {
  /** Files. */
  readonly "node:fs/promises": typeof import("node:fs/promises");
  /** Paths. */
  readonly "node:path": typeof import("node:path");
  /** Names as addresses. */
  readonly "node:dns/promises": typeof import("node:dns/promises");
  /** Paths as URLs and back. */
  readonly "node:url": typeof import("node:url");
}

/** A module of this runtime; undefined where there is none, as in a page. */
export function builtin<Name extends keyof BuiltinModules>(name: Name): BuiltinModules[Name] | undefined {
  return (globalThis as Host).process?.getBuiltinModule?.(name) as BuiltinModules[Name] | undefined;
}

// ---------------------------------------------------------------------------

interface Host {
  readonly process?: { getBuiltinModule?(name: string): unknown };
}
