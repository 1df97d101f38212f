import { join } from "@std/path";
import { z } from "zod";
import { raise } from "../errors.ts";
import type { Trust } from "./trust.ts";

/**
 * Whom the user trusts: `publishers` in `config.json` of the folder `kernelwright` in the user's configuration, or in
 * the file that `KERNELWRIGHT_CONFIG` names. Nobody where there is no such file.
 *
 * ```json
 * { "publishers": ["jsr:@you/", "https://kernels.example/"] }
 * ```
 *
 * @throws KW-REF-UNTRUSTED when the file cannot be read: who is trusted must not be guessed.
 */
export async function userTrust(path: string | undefined = configPath()): Promise<Trust> {
  if (!path) return {};
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    throw error;
  }
  try {
    return Schema.parse(JSON.parse(text));
  } catch (cause) {
    raise(
      "KW-REF-UNTRUSTED",
      "The list of trusted publishers cannot be read",
      'Write { "publishers": ["https://kernels.example/"] }; each ends with a slash.',
      { file: path },
      cause,
    );
  }
}

// ---------------------------------------------------------------------------

const Schema = z.strictObject({
  publishers: z.array(z.string().regex(/^(https:\/\/|jsr:@|npm:).*\/$/)).optional(),
});

function configPath(): string | undefined {
  const env = (name: string) => Deno.env.get(name);
  const base = env("XDG_CONFIG_HOME") ?? env("APPDATA") ?? (env("HOME") && join(env("HOME")!, ".config"));
  return env("KERNELWRIGHT_CONFIG") ?? (base && join(base, "kernelwright", "config.json"));
}
