/** The files in a gzipped tar archive, in memory: nothing is written, so no name in it can lead anywhere. */
import { raise } from "../errors.ts";
import { readBounded } from "./fetch.ts";

/**
 * Reads an archive whose files lie in one folder, as npm's do; the folder's name is left out of the files'.
 *
 * @param maxBytes What it may unpack to. @param file Its address, for errors.
 * @throws KW-REF-LIMIT; KW-REF-FETCH when it is not such an archive.
 */
export async function readTarball(
  bytes: Uint8Array<ArrayBuffer>,
  maxBytes: number,
  file: string,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const unpacked = new Response(bytes).body!.pipeThrough(new DecompressionStream("gzip"));
  return untar(
    await readBounded(unpacked, maxBytes, { file }).catch((cause) => notAnArchive(file, cause)),
    file,
  );
}

// ---------------------------------------------------------------------------

const BLOCK = 512;

function untar(tar: Uint8Array<ArrayBuffer>, file: string): Map<string, Uint8Array<ArrayBuffer>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  let longName: string | undefined;
  for (let at = 0; at + BLOCK <= tar.length;) {
    const header = tar.subarray(at, at + BLOCK);
    if (header.every((b) => b === 0)) break;
    const size = Number.parseInt(text(header, 124, 12).trim() || "0", 8);
    const end = at + BLOCK + size;
    if (!(size >= 0) || end > tar.length) notAnArchive(file);
    const content = tar.slice(at + BLOCK, end);
    const type = text(header, 156, 1);
    if (type === "x") longName = paxPath(content) ?? longName;
    else if (type === "L") longName = text(content, 0, content.length);
    else {
      if (type === "0" || type === "") {
        const prefix = text(header, 257, 5) === "ustar" ? text(header, 345, 155) : "";
        const name = longName ?? (prefix ? `${prefix}/` : "") + text(header, 0, 100);
        files.set(name.replace(/^[^/]*\//, ""), content);
      }
      longName = undefined;
    }
    at = end + (BLOCK - size % BLOCK) % BLOCK;
  }
  return files;
}

/** Up to the first zero. */
function text(bytes: Uint8Array, at: number, length: number): string {
  const field = bytes.subarray(at, at + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

/** The `path` of a pax header: lines of `LENGTH KEY=VALUE`. */
function paxPath(content: Uint8Array): string | undefined {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(new TextDecoder().decode(content))?.[1];
}

function notAnArchive(file: string, cause?: unknown): never {
  if (cause instanceof Error && "code" in cause && String(cause.code).startsWith("KW-")) throw cause;
  return raise("KW-REF-FETCH", "The package's archive cannot be unpacked", undefined, { file }, cause);
}
