/** Where package registries are: the user says it, in their configuration or in the environment of npm and Deno. */
import { joinFile } from "../checkpoint/files.ts";
import { raise } from "../errors.ts";
import type { PackageSpec } from "./package_spec.ts";

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
  { registry, scope, href }: Pick<PackageSpec, "registry" | "scope" | "href">,
  given: Registries = {},
): Promise<URL> {
  const npm = registry === "npm";
  const address = given[registry] ?? (npm
    ? await fromNpmrc(scope && `${scope}:registry`) ??
      env("npm_config_registry") ?? env("NPM_CONFIG_REGISTRY") ?? await fromNpmrc("registry")
    : env("JSR_URL"));
  if (address && URL.canParse(address)) return new URL(address.replace(/\/*$/, "/"));
  raise(
    "KW-REF-REGISTRY",
    address
      ? `${JSON.stringify(address)} is no address of a registry`
      : `Where ${registry}: packages are is not known`,
    `Set ${
      npm ? "npm_config_registry" : "JSR_URL"
    }, or write { "registries": { "${registry}": "https://…/" } } ` +
      "into your configuration.",
    { file: href },
  );
}

// ---------------------------------------------------------------------------

function env(name: string): string | undefined {
  return globalThis.Deno?.env.get(name) || undefined; // a page has none
}

/** A value of the user's `.npmrc`. */
async function fromNpmrc(key: string | undefined): Promise<string | undefined> {
  const home = env("HOME") ?? env("USERPROFILE");
  const file = env("npm_config_userconfig") ?? (home && joinFile(home, ".npmrc"));
  if (!key || !file) return undefined;
  const text = await Deno.readTextFile(file).catch(() => "");
  for (const line of text.split("\n")) {
    const [name, ...value] = line.split("=");
    if (name.trim() === key) return value.join("=").trim().replaceAll(/^"|"$/g, "");
  }
  return undefined;
}
