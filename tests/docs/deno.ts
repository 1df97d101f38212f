/** Deno, as a user runs it. @module */
import { assert } from "@std/assert";
import { fromFileUrl, join } from "@std/path";

/** The repository. */
export const ROOT: string = fromFileUrl(new URL("../../", import.meta.url));

/** Runs Deno with the repository's imports, and returns what it prints; fails where it fails. */
export async function deno(options: string[], args: string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...options, `--config=${join(ROOT, "deno.json")}`, ...args],
    cwd,
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert(success, text);
  return text;
}
