/** The one place where the command line writes: whatever comes by, nothing in it acts on the terminal. */
import { visible } from "../visible.ts";

/** Writes as it is given. */
type Write = (text: string) => void;

/** What may be written as it is: text whose colours are our own. */
export interface Terminal {
  /** On stderr. */
  readonly painted: Write;
}

/**
 * Runs with a console that shows control characters escaped, also those of libraries that print.
 *
 * @returns What `run` returns. The console is as it was.
 */
export async function guarded<T>(run: (terminal: Terminal) => Promise<T>): Promise<T> {
  const own = NAMES.map((name) => [name, console[name]] as const);
  const { error } = console;
  for (const [name, write] of own) {
    console[name] = (...given: unknown[]) => write.call(console, visible(given.map(textOf).join(" ")));
  }
  try {
    return await run({ painted: (text) => error.call(console, text) });
  } finally {
    for (const [name, write] of own) console[name] = write;
  }
}

// ---------------------------------------------------------------------------

const NAMES = [
  "log",
  "info",
  "warn",
  "error",
  "debug",
  "dir",
  "table",
  "trace",
  "group",
  "groupCollapsed",
] as const;

function textOf(value: unknown): string {
  return typeof value === "string" ? value : Deno.inspect(value, { colors: false });
}
