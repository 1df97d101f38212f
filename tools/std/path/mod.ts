/** Stand-in for `@std/path`: the same names and signatures, on `node:path`. @module */
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The separator between path segments on this system. */
export const SEPARATOR: string = path.sep;
/** The separator between entries of a path list on this system. */
export const DELIMITER: string = path.delimiter;

/** The parts of a path, as `parse` returns them. */
export type ParsedPath = path.ParsedPath;

/** The last segment of `p`, without `suffix`. */
export function basename(p: string | URL, suffix = ""): string {
  return path.basename(fromFileUrlOrPath(p), suffix);
}

/** The folder of `p`. */
export function dirname(p: string | URL): string {
  return path.dirname(fromFileUrlOrPath(p));
}

/** The extension of `p`, with its dot. */
export function extname(p: string | URL): string {
  return path.extname(fromFileUrlOrPath(p));
}

/** Joins segments and normalizes the result. */
export function join(p: string | URL, ...paths: string[]): string {
  return path.join(fromFileUrlOrPath(p), ...paths);
}

/** Removes `.`, `..` and doubled separators. */
export function normalize(p: string | URL): string {
  return path.normalize(fromFileUrlOrPath(p));
}

/** An absolute path, from the right-most absolute segment or the working folder. */
export function resolve(...paths: string[]): string {
  return path.resolve(...paths);
}

/** The way from one path to another. */
export function relative(from: string, to: string): string {
  return path.relative(from, to);
}

/** Whether `p` is absolute. */
export function isAbsolute(p: string): boolean {
  return path.isAbsolute(p);
}

/** The parts of `p`. */
export function parse(p: string): ParsedPath {
  return path.parse(p);
}

/** A path from its parts. */
export function format(parts: Partial<ParsedPath>): string {
  return path.format(parts);
}

/** The path of a `file:` URL. */
export function fromFileUrl(url: string | URL): string {
  return fileURLToPath(url);
}

/** The `file:` URL of an absolute path. */
export function toFileUrl(p: string): URL {
  if (!path.isAbsolute(p)) throw new TypeError(`Path must be absolute: received "${p}"`);
  return pathToFileURL(p) as URL;
}

/** The longest folder that all paths share. */
export function common(paths: string[]): string {
  const [first = "", ...rest] = paths;
  let end = first.split(SEPARATOR);
  for (const p of rest) {
    const segments = p.split(SEPARATOR);
    const n = end.findIndex((segment, i) => segment !== segments[i]);
    if (n >= 0) end = end.slice(0, n);
  }
  const prefix = end.join(SEPARATOR);
  return prefix === "" || prefix.endsWith(SEPARATOR) ? prefix : prefix + SEPARATOR;
}

function fromFileUrlOrPath(p: string | URL): string {
  return p instanceof URL ? fileURLToPath(p) : p;
}
