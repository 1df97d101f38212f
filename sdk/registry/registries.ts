/** Where package registries are: the user says it, in their configuration or in the environment of npm and Deno. */
import { fs, hasFiles, joinFile, variable } from "../host/mod.ts";
import { raise } from "../errors.ts";
import type { PackagePlace } from "../kernelize/mod.ts";

/** The addresses of registries. */
export interface Registries {
  /** Of npm packages; else `npm_config_registry`, or what the user's `.npmrc` says. */
  readonly npm?: string;
  /** Of JSR packages; else `JSR_URL`. */
  readonly jsr?: string;
}

/**
 * The registry of a package.
 *
 * A `.npmrc` beside a project is not read: whoever wrote it could lead a trusted publisher's name elsewhere.
 *
 * @throws KW-REF-REGISTRY when nobody said where it is.
 */
export async function registryOf(
  { registry, scope, href }: Pick<PackagePlace, "registry" | "scope"> & { readonly href: string },
  given: Registries = {},
): Promise<URL> {
  const npm = registry === "npm";
  const address = given[registry] ?? (npm
    ? await fromNpmrc(scope && `${scope}:registry`) ??
      (variable("npm_config_registry") || variable("NPM_CONFIG_REGISTRY") || await fromNpmrc("registry"))
    : variable("JSR_URL"));
  if (address && URL.canParse(address)) return new URL(address.replace(/\/*$/, "/"));
  raise(
    "KW-REF-REGISTRY",
    address
      ? `${JSON.stringify(address)} is not the address of a registry`
      : `Where ${registry}: packages are is not known`,
    `Set ${
      npm ? "npm_config_registry" : "JSR_URL"
    }, or write { "registries": { "${registry}": "https://…/" } } ` +
      "into your configuration.",
    { file: href },
  );
}

// ---------------------------------------------------------------------------

/** A value of the user's `.npmrc`. */
async function fromNpmrc(key: string | undefined): Promise<string | undefined> {
  const home = variable("HOME") || variable("USERPROFILE");
  const file = variable("npm_config_userconfig") || (home && joinFile(home, ".npmrc"));
  if (!key || !file || !hasFiles()) return undefined;
  const text = await fs().readFile(file, "utf8").catch(() => "");
  for (const line of text.split("\n")) {
    const [name, ...value] = line.split("=");
    if (name.trim() === key) return value.join("=").trim().replaceAll(/^"|"$/g, "");
  }
  return undefined;
}
