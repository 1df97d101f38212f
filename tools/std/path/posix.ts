/** Stand-in for `@std/path/posix`: paths with `/` on every system. @module */
import path from "node:path";

/** The last segment of `p`, without `suffix`. */
export function basename(p: string, suffix = ""): string {
  return path.posix.basename(p, suffix);
}

/** The folder of `p`. */
export function dirname(p: string): string {
  return path.posix.dirname(p);
}

/** The extension of `p`, with its dot. */
export function extname(p: string): string {
  return path.posix.extname(p);
}

/** Joins segments and normalizes the result. */
export function join(p: string, ...paths: string[]): string {
  return path.posix.join(p, ...paths);
}

/** Removes `.`, `..` and doubled separators. */
export function normalize(p: string): string {
  return path.posix.normalize(p);
}

/** The way from one path to another. */
export function relative(from: string, to: string): string {
  return path.posix.relative(from, to);
}

/** Whether `p` is absolute. */
export function isAbsolute(p: string): boolean {
  return path.posix.isAbsolute(p);
}
