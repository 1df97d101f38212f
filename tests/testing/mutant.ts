/** Plants a bug in a copy of a kernel's package. @module */
import { basename, fromFileUrl, join, toFileUrl } from "@std/path";
import { assert, assertEquals } from "@std/assert";
import type { KernelClass } from "@kernelwright/sdk";
import { walk } from "../../tools/walk.ts";

const root = fromFileUrl(new URL("../..", import.meta.url));

/** A bug: in which file of which package, what becomes what. */
export interface Mutant {
  /** What is wrong with it. */
  bug: string;
  /** The package. */
  folder: string;
  /** The kernel's class. */
  kernel: string;
  /** File, what is there exactly once, and what takes its place. */
  edits: [file: string, from: string, to: string][];
  /** The checks that must catch it. */
  caughtBy: string[];
  /** What the first one's message must say. */
  says?: RegExp;
  /** The element type to try; defaults to f32. */
  dtype?: "f16";
}

/** The kernel class with the bug in it. `folder` is a temporary folder. */
export async function plant(mutant: Mutant, folder: string): Promise<KernelClass> {
  const source = join(root, mutant.folder);
  const texts = new Map(
    walk(source, (path) => /\.(ts|wgsl)$/.test(path) && !/_(test|bench)\.ts$/.test(path))
      .map((path) => [basename(path), Deno.readTextFileSync(path)]),
  );
  for (const [file, from, to] of mutant.edits) {
    const text = texts.get(file);
    assert(text !== undefined, `${mutant.folder} has no ${file}`);
    assertEquals(text.split(from).length, 2, `${file} has this not exactly once: ${from}`);
    texts.set(file, text.replace(from, () => to));
  }
  for (const [name, text] of texts) Deno.writeTextFileSync(join(folder, name), text);
  const module = await import(toFileUrl(join(folder, "mod.ts")).href);
  return module[mutant.kernel];
}
