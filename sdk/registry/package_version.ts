/** Which of a package's versions a reference means. */
import { raise } from "../errors.ts";
import type { PackagePlace } from "../kernelize/mod.ts";
import { highestVersion, parseVersion } from "./semver.ts";

/**
 * The version that a reference means.
 *
 * @param versions All that may be taken. @param tags npm's `latest` and its like.
 * @throws KW-REF-VERSION with the newest there are; KW-REF-SYNTAX when the range cannot be read.
 */
export function chooseVersion(
  { where, range }: PackagePlace,
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
      { file: where },
    );
  }
  const newest = versions.filter((v) => parseVersion(v)).slice(-5);
  raise(
    "KW-REF-VERSION",
    `No version of the package fits ${JSON.stringify(tag)}`,
    newest.length > 0 ? `There are: ${newest.join(", ")}.` : "It has none.",
    { file: where },
  );
}
