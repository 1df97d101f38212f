import { raise } from "../errors.ts";
import { SDK_VERSION } from "../version.ts";
import { highestVersion } from "./semver.ts";

/**
 * Checks that a kernel was made for this SDK, before its code is imported.
 *
 * @param range The range in its `kernel.json`, e.g. `^0.1.0`.
 * @throws KW-REF-SDK
 */
export function checkSdkRange(range: string, ref: string): void {
  if (highestVersion([SDK_VERSION], range)) return; // a range that cannot be read is not a promise either
  raise(
    "KW-REF-SDK",
    `The kernel needs @kernelwright/sdk ${JSON.stringify(range)}, and this is ${SDK_VERSION}`,
    "Take a version of the kernel that was made for this SDK, or the SDK that it names.",
    { file: ref },
  );
}
