/** A model's files, wherever they are: on a disk, behind an address, or picked by a user. */
import { checkArgument, checkFields, checkInstance, refuseArgument } from "../../arguments.ts";
import { KernelwrightError, raise } from "../../errors.ts";
import {
  fileUrlOfPath,
  fs,
  hasFiles,
  isMissing,
  isWithin,
  joinFile,
  messageOf,
  pathOfFileUrl,
} from "../../host/mod.ts";
import { currentNames, isDraft, JOURNAL_NAME, readJournal } from "./journal.ts";
import { blobSource, fileSource, type Source } from "./source.ts";
import { urlSource } from "./url_source.ts";

/** Files by their names. */
export interface Folder {
  /** The folder's path or address, or another name for errors. */
  readonly name: string;
  /** Opens a file; undefined where there is none. */
  open(name: string): Promise<Source | undefined>;
  /** The names of the files, as far as they can be told. */
  list?(): Promise<readonly string[]>;
  /** Where a file is, if it has an address: what it names is relative to that. */
  urlOf?(name: string): URL;
}

/** Files that a user picked, as `<input type="file" multiple>` or `webkitdirectory` gives them, or Blobs by their names. */
export type FileSet = Iterable<File> | Readonly<Record<string, Blob>>;

/** Where a model's files are: a path, an address (a path in a page is one, too), files, or a {@linkcode Folder}. */
export type FolderLocation = string | URL | FileSet | Folder;

/** How a folder is opened. */
export interface FolderOptions {
  /** Allows files that are links to somewhere outside of the folder. */
  readonly allowLinks?: boolean;
  /** Stops what is fetched from an address. */
  readonly signal?: AbortSignal;
}

/**
 * The folder at a place. Nothing is read. @throws KW-CHECKPOINT-OPEN for an address that is of no folder.
 *
 * @example
 * ```ts
 * import { openFolder, readText } from "@kernelwright/sdk/checkpoint";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = openFolder("./model"); // or an address, or picked files
 * const config = JSON.parse(await readText(folder, "config.json") ?? "{}");
 * assertEquals(config.model_type, "llama");
 * ```
 */
export function openFolder(from: FolderLocation, options: FolderOptions = {}): Folder {
  checkArgument("openFolder(): options", options, "an object");
  if (typeof from !== "string" && (typeof from !== "object" || from === null)) {
    refuseArgument("openFolder(): from", from, "a path, an address, files, or a Folder");
  }
  if (isFolder(from)) return from;
  const place = typeof from === "string" || from instanceof URL ? locate(from) : from;
  if (typeof place === "string") return diskFolder(place, options);
  return place instanceof URL ? urlFolder(place, options.signal) : fileFolder(place);
}

/** A path, or an address where it is one. In a page every path is an address, relative to that of the page. */
export function locate(from: string | URL): string | URL {
  if (from instanceof URL) return from.protocol === "file:" ? pathOfFileUrl(from) : from;
  if (/^(https?|file|blob|data):/i.test(from)) return locate(new URL(from));
  const page = hasFiles() ? undefined : globalThis.location?.href;
  return page === undefined ? from : new URL(from, page);
}

/**
 * The text of a file; undefined where there is none. @throws KW-CHECKPOINT-OPEN
 *
 * @example
 * ```ts
 * import { openFolder, readText } from "@kernelwright/sdk/checkpoint";
 * import { assertEquals } from "@std/assert";
 *
 * const picked = openFolder({ "config.json": new Blob(["{}"]) });
 * assertEquals(await readText(picked, "config.json"), "{}");
 * assertEquals(await readText(picked, "tokenizer.json"), undefined);
 * ```
 */
export async function readText(folder: Folder, name: string): Promise<string | undefined> {
  checkFields("readText(): folder", folder, { open: "a function" });
  checkArgument("readText(): name", name, "a string");
  const source = await folder.open(name);
  return source && await textOf(source);
}

/** All of a source as text. The source is closed. */
export async function textOf(source: Source): Promise<string> {
  try {
    return new TextDecoder().decode(await source.read(0, source.size));
  } finally {
    await source.close?.();
  }
}

// ---------------------------------------------------------------------------

function isFolder(from: FolderLocation): from is Folder {
  return typeof (from as Partial<Folder>).open === "function";
}

function diskFolder(path: string, options: FolderOptions): Folder {
  return {
    name: path,
    async open(name) {
      // Each time: a save may end, or begin, between two files.
      for (const now of currentNames(name, await readJournal(path))) {
        const file = joinFile(path, now);
        if (!await exists(file)) continue;
        if (!options.allowLinks) await checkInside(path, file);
        return await fileSource(file);
      }
      return undefined;
    },
    async list() {
      const journal = await readJournal(path);
      const names = new Set([...await filesIn(path), ...journal?.files ?? []]);
      return [...names].filter((n) => n !== JOURNAL_NAME && !isDraft(n) && !journal?.remove.includes(n));
    },
    urlOf: (name) => fileUrlOfPath(joinFile(path, name)),
  };
}

/** Its files, and links to files. */
async function filesIn(path: string): Promise<string[]> {
  const { readdir, stat } = fs();
  const found = await Promise.all((await readdir(path)).map(async (name) => {
    const isFile = await stat(joinFile(path, name)).then((s) => s.isFile(), () => false);
    return isFile ? [name] : [];
  }));
  return found.flat();
}

function urlFolder(url: URL, signal: AbortSignal | undefined): Folder {
  if (!/^https?:$/.test(url.protocol)) {
    raise("KW-CHECKPOINT-OPEN", `Cannot open ${url.href}: it is not a folder`, "Give an https address.");
  }
  const base = new URL(url);
  base.pathname = joinFile(base.pathname, "");
  // Encoded, so that no name leads to another place: "http:elsewhere/x" would. A token in the query is for each file.
  const at = (name: string) => {
    const file = new URL(name.split("/").map(encodeURIComponent).join("/"), base);
    file.search = base.search;
    return file;
  };
  return { name: url.href, open: (name) => urlSource(at(name), { signal }), urlOf: at };
}

function fileFolder(files: FileSet): Folder {
  const blobs = new Map<string, Blob>(
    Symbol.iterator in files
      ? [...files as Iterable<File>].map((file) => [nameOf(file), file])
      : Object.entries(files as Readonly<Record<string, Blob>>),
  );
  return {
    name: "files",
    open: (name) => {
      const blob = blobs.get(name);
      return Promise.resolve(blob && blobSource(blob, joinFile("files", name)));
    },
    list: () => Promise.resolve([...blobs.keys()]),
  };
}

/** A picked folder's own name is not part of its files' names. */
function nameOf(file: File): string {
  checkInstance("openFolder(): a file", file, Blob);
  const { webkitRelativePath: path } = file as File & { readonly webkitRelativePath?: string };
  return path ? path.slice(path.indexOf("/") + 1) : file.name;
}

/** A link may lead out of the folder, although its name does not. */
async function checkInside(folder: string, path: string): Promise<void> {
  const { realpath } = fs();
  const [root, real] = await Promise.all([realpath(folder), realpath(path)]);
  if (isWithin(root, real)) return;
  // Hugging Face's cache: snapshots/<revision>/file is a link to blobs/<digest> beside snapshots.
  const [, cache, slash] = /^(.*)([/\\])snapshots[/\\][^/\\]+(?:[/\\].*)?$/.exec(root) ?? [];
  if (cache !== undefined && isWithin(`${cache}${slash}blobs`, real)) return;
  raise(
    "KW-CHECKPOINT-SHARD",
    "The file is a link that leads out of the checkpoint's folder",
    "Put the file itself there, or pass { allowLinks: true } for a folder that you made, such as a cache.",
    { file: path },
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await fs().stat(path);
    return true;
  } catch (cause) {
    if (isMissing(cause)) return false;
    if (cause instanceof KernelwrightError) throw cause;
    throw new KernelwrightError({
      code: "KW-CHECKPOINT-OPEN",
      what: `Cannot open the checkpoint: ${messageOf(cause)}`,
      where: { file: path },
    }, cause);
  }
}
