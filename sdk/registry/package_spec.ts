/** What `jsr:@scope/name@^1` and `npm:name@1/dist` say. */
import { checkArgument } from "../arguments.ts";
import { raise } from "../errors.ts";
import { highestVersion, parseVersion } from "./semver.ts";

/** A package, the versions that will do, and where in it the bundle lies. */
export interface PackageSpec {
  /** As it was written: what the lock calls it. */
  readonly href: string;
  /** Whose package it is. */
  readonly registry: "jsr" | "npm";
  /** `@scope`, where it has one. */
  readonly scope?: string;
  /** Its whole name. */
  readonly name: string;
  /** A version, a range, or npm's tag; defaults to the newest. */
  readonly range?: string;
  /** A folder in the package, with a slash at its end. */
  readonly folder?: string;
}

/**
 * Reads a package reference, without the kernel's name.
 *
 * @throws KW-REF-SYNTAX
 */
export function parsePackage(where: string): PackageSpec {
  checkArgument("parsePackage(): where", where, "a string");
  const match =
    /^(jsr|npm):((@[a-z0-9][a-z0-9._-]*)\/)?([a-z0-9][a-z0-9._-]*)(?:@([^/@]+))?((?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)\/?$/
      .exec(where);
  if (!match || (match[1] === "jsr" && !match[2])) {
    raise(
      "KW-REF-SYNTAX",
      `Cannot read the package ${JSON.stringify(where)}`,
      "Write jsr:@scope/name@^1:Kernel or npm:name@1:Kernel, with a folder after the version where there is one.",
    );
  }
  const [, registry, , scope, name, range, folder] = match;
  return {
    href: where,
    registry: registry as "jsr" | "npm",
    scope,
    name: scope ? `${scope}/${name}` : name,
    range: range?.trim(),
    folder: folder ? `${folder.slice(1)}/` : undefined,
  };
}

/**
 * The version that a reference means.
 *
 * @param versions All that may be taken. @param tags npm's `latest` and its like.
 * @throws KW-REF-VERSION with the newest there are; KW-REF-SYNTAX when the range cannot be read.
 */
export function chooseVersion(
  { href, range }: PackageSpec,
  versions: readonly string[],
  tags: Readonly<Record<string, string>> = {},
): string {
  const tag = range ?? "latest";
  const tagged = Object.hasOwn(tags, tag) ? tags[tag] : undefined;
  if (tagged !== undefined && versions.includes(tagged) && parseVersion(tagged)) return tagged;
  const found = range && parseVersion(range)
    ? versions.find((v) => v === range)
    : highestVersion(versions, range ?? "*");
  if (found) return found;
  if (found === null && !/^[a-z][\w-]*$/i.test(tag)) {
    raise(
      "KW-REF-SYNTAX",
      `Cannot read the version ${JSON.stringify(range)}`,
      "Write 1.2.3, ^1.2, ~1.2 or 1.",
      { file: href },
    );
  }
  const newest = versions.filter((v) => parseVersion(v)).slice(-5);
  raise(
    "KW-REF-VERSION",
    `No version of the package fits ${JSON.stringify(tag)}`,
    newest.length > 0 ? `There are: ${newest.join(", ")}.` : "It has none.",
    { file: href },
  );
}
