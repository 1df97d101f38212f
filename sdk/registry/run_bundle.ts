/** Running a bundle: the very bytes whose digests were checked, from memory, so that nobody can change them between. */
import { KernelwrightError, raise } from "../errors.ts";
import type { Bundle } from "./bundle_files.ts";
import { checkClosed, CODE_FILE, reachesOutside, scanCode } from "./closed.ts";

/**
 * Imports a bundle's entry; once for the same bytes, so that a class is the same wherever it is loaded.
 *
 * `@kernelwright/sdk` in it is what the program's or the page's import map says.
 *
 * @throws KW-REF-IMPORT where it is not closed; KW-REF-EXPORT where its code fails as it is imported.
 */
export function runBundle(bundle: Bundle, href: string): Promise<Record<string, unknown>> {
  const { manifest } = bundle.entry;
  const running = loaded.get(manifest) ?? importFiles(bundle, href);
  loaded.set(manifest, running);
  running.catch(() => loaded.delete(manifest)); // it may be tried again
  return running;
}

// ---------------------------------------------------------------------------

/** By the digest of kernel.json, which has those of the files. */
const loaded = new Map<string, Promise<Record<string, unknown>>>();

async function importFiles({ manifest, files }: Bundle, href: string): Promise<Record<string, unknown>> {
  checkClosed(reachesOutside(files, manifest.entry), href);
  const urls = new Map<string, string>();
  const entry = addressOf(manifest.entry, files, urls, [], href);
  try {
    return await import(entry);
  } catch (cause) {
    if (cause instanceof KernelwrightError) throw cause; // a decorator's
    return raise(
      "KW-REF-EXPORT",
      `The kernel's code fails when it is imported: ${String(cause)}`,
      "Tell its publisher.",
      { file: href },
      cause,
    );
  } finally {
    // A file that is imported later, by import(), is still looked for.
    if (urls.size === 1) URL.revokeObjectURL(entry);
  }
}

/** The address of a file in memory. Its own imports lead to such addresses, too. */
function addressOf(
  name: string,
  files: Bundle["files"],
  urls: Map<string, string>,
  from: readonly string[],
  href: string,
): string {
  const known = urls.get(name);
  if (known !== undefined) return known;
  if (from.includes(name)) {
    raise(
      "KW-REF-IMPORT",
      `The bundle's files import each other in a circle: ${[...from, name].join(" → ")}`,
      "Make the bundle with `bundle`: one file.",
      { file: href },
    );
  }
  const bytes = files.get(name)!;
  let content: BlobPart = bytes;
  if (CODE_FILE.test(name)) {
    const { text, own } = scanCode(name, bytes, new Set(files.keys()));
    let at = 0;
    let code = "";
    for (const { name: other, start, end } of [...own].sort((a, b) => a.start - b.start)) {
      code += text.slice(at, start) + JSON.stringify(addressOf(other, files, urls, [...from, name], href));
      at = end;
    }
    content = code + text.slice(at);
  }
  const type = CODE_FILE.test(name)
    ? "text/javascript"
    : name.endsWith(".json")
    ? "application/json"
    : "text/plain";
  const url = URL.createObjectURL(new Blob([content], { type }));
  urls.set(name, url);
  return url;
}
