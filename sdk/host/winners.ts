/**
 * What was measured to be fastest, in memory and in a file of the user's cache:
 *
 *   adapter │ kernel or operator │ digest of its shaders │ dtypes and shape classes  ─►  constants, milliseconds
 *
 * The file speeds up later runs and may always be missing: what is damaged or someone else's is left aside, and said.
 */
import * as z from "zod";
import { fs, isMissing, messageOf, pathOfFileUrl } from "./files.ts";
import { userCacheFile } from "./user_cache.ts";

/** The best constants for one kind of call, as they were measured. */
export interface Winner {
  /** The constants. */
  readonly constants: Readonly<Record<string, number>>;
  /** Milliseconds of a call with them. */
  readonly ms: number;
  /** Milliseconds of a call with the kernel's own defaults. */
  readonly defaultMs: number;
}

/** Where winners are kept: a file, the user's cache (the default), or memory only. */
export type WinnersLocation = string | URL | false;

/** How many winners are kept; the oldest go first. */
export const MOST_WINNERS = 512;

/** Winners of this process and of one file. */
export class Winners {
  /** What could not be read or written, a sentence each. */
  readonly notes: string[] = [];
  readonly #location: WinnersLocation | undefined;
  #file: ReadonlyMap<string, Winner> = new Map();
  readonly #added = new Map<string, Winner>();

  private constructor(location: WinnersLocation | undefined) {
    this.#location = location;
  }

  /** Reads the file, if there is one. */
  static async open(location?: WinnersLocation): Promise<Winners> {
    const cache = new Winners(location ?? userCacheFile("winners.json") ?? false);
    cache.#file = await cache.#read();
    return cache;
  }

  /** The winner for a key, from this process or from the file. */
  get(key: string): Winner | undefined {
    return remembered.get(key) ?? this.#file.get(key);
  }

  /** Remembers a winner; {@linkcode save} writes it. */
  set(key: string, winner: Winner): void {
    this.#added.set(key, winner);
    addBounded(remembered, key, winner);
  }

  /** Writes what was added, beside what other processes have written meanwhile. */
  async save(): Promise<void> {
    if (!this.#location || this.#added.size === 0) return;
    const winners = new Map(await this.#read());
    for (const [key, winner] of this.#added) addBounded(winners, key, winner);
    const entries = [...winners].map(([key, winner]) => ({ key, ...winner }));
    const text = JSON.stringify({ format: FORMAT, version: VERSION, entries }, null, 1);
    try {
      const { mkdir, rename, rm, writeFile } = fs();
      const path = pathOf(this.#location);
      const draft = `${path}.${crypto.randomUUID()}`;
      await mkdir(path.replace(/[^/\\]*$/, "") || ".", { recursive: true });
      try {
        await writeFile(draft, text);
        await rename(draft, path); // so that no reader sees half a file
      } catch (error) {
        await rm(draft, { force: true });
        throw error;
      }
      this.#added.clear();
    } catch (error) {
      this.#note(`what was measured was not written to ${this.#location}: ${messageOf(error)}`);
    }
  }

  async #read(): Promise<Map<string, Winner>> {
    const empty = new Map<string, Winner>();
    if (!this.#location) return empty;
    try {
      const { readFile, stat } = fs();
      const path = pathOf(this.#location);
      if ((await stat(path)).size > MOST_BYTES) return this.#ignore("it is too large", empty);
      const parsed = FileSchema.safeParse(JSON.parse(await readFile(path, "utf8")));
      if (!parsed.success) return this.#ignore("it is not of this form", empty);
      for (const { key, ...winner } of parsed.data.entries) addBounded(empty, key, winner);
      return empty;
    } catch (error) {
      if (isMissing(error)) return empty;
      return this.#ignore(error instanceof SyntaxError ? "it is not JSON" : messageOf(error), empty);
    }
  }

  #ignore<T>(why: string, value: T): T {
    this.#note(`what was measured before, in ${this.#location}, was left aside: ${why}`);
    return value;
  }

  #note(text: string): void {
    if (!this.notes.includes(text)) this.notes.push(text);
  }
}

/**
 * Forgets the winners that this process has found; those in files stay.
 *
 * @example
 * ```ts
 * import { forgetWinners } from "@kernelwright/sdk/inspect";
 *
 * forgetWinners(); // what tune() found in this process is measured again, or read from the user's cache
 * ```
 */
export function forgetWinners(): void {
  remembered.clear();
}

// ---------------------------------------------------------------------------

const FORMAT = "kernelwright-winners";
const VERSION = 1;
const MOST_BYTES = 1 << 20;

const FileSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  entries: z.array(z.strictObject({
    key: z.string().min(1).max(2048),
    constants: z.record(z.string(), z.number()),
    ms: z.number().nonnegative(),
    defaultMs: z.number().nonnegative(),
  })),
});

// By process: two models with the same kernel on the same shapes need one measurement.
const remembered = new Map<string, Winner>();

function addBounded(winners: Map<string, Winner>, key: string, winner: Winner): void {
  winners.delete(key); // so that it is the youngest
  winners.set(key, winner);
  if (winners.size > MOST_WINNERS) winners.delete(winners.keys().next().value!);
}

function pathOf(location: string | URL): string {
  return typeof location === "string" && !location.startsWith("file:") ? location : pathOfFileUrl(location);
}
