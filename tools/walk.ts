/** Files below folders, sorted, without what is installed or hidden. @module */
import { join } from "@std/path";

/** The files in `folder` and below whose path `wanted` accepts; none if there is no such folder. */
export function walk(folder: string, wanted: (path: string) => boolean): string[] {
  const found: string[] = [];
  const visit = (folder: string) => {
    for (const entry of entries(folder)) {
      if (entry.name === "node_modules" || entry.name.startsWith(".")) continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory) visit(path);
      else if (entry.isFile && wanted(path)) found.push(path);
    }
  };
  visit(folder);
  return found.sort();
}

function entries(folder: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
