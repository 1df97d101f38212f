import { checkArgument } from "../arguments.ts";
import * as z from "zod";
import { joinFile } from "../checkpoint/files.ts";
import { raise } from "../errors.ts";
import type { Registries } from "./registries.ts";
import type { Trust } from "./trust.ts";

/** What the user's configuration says of references. */
export interface UserSettings extends Trust {
  /** Where packages are. */
  readonly registries?: Registries;
}

/**
 * Whom the user trusts and where their packages are: `config.json` of the folder `kernelwright` in the user's
 * configuration, or the file that `KERNELWRIGHT_CONFIG` names. Nobody where there is no such file.
 *
 * ```json
 * {
 *   "publishers": ["jsr:@you/", "npm:some-kernel/", "https://kernels.example/"],
 *   "trust": ["https://elsewhere.example/kernel.js"]
 * }
 * ```
 *
 * `trust` names single references; `true` is for all there are. `registries` are addresses for `npm` and `jsr`.
 *
 * @throws KW-REF-UNTRUSTED when the file cannot be read: who is trusted must not be guessed.
 */
export async function userSettings(path: string | undefined = configPath()): Promise<UserSettings> {
  if (path !== undefined) checkArgument("userSettings(): path", path, "a string");
  if (!path) return {};
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    raise("KW-REF-UNTRUSTED", `Your configuration cannot be read: ${String(error)}`, undefined, {
      file: path,
    }, error);
  }
  try {
    return Schema.parse(JSON.parse(text));
  } catch (cause) {
    raise(
      "KW-REF-UNTRUSTED",
      "Your configuration, which says who is trusted, cannot be read",
      'Write { "publishers": ["https://kernels.example/"] }; each ends with a slash. trust is true or a list.',
      { file: path },
      cause,
    );
  }
}

// ---------------------------------------------------------------------------

const Schema = z.strictObject({
  publishers: z.array(z.string().regex(/^(https:\/\/|jsr:@|npm:).*\/$/)).optional(),
  trust: z.union([z.boolean(), z.array(z.string())]).optional(),
  registries: z.strictObject({ npm: z.url().optional(), jsr: z.url().optional() }).optional(),
});

function configPath(): string | undefined {
  const env = (name: string) => Deno.env.get(name);
  const base = env("XDG_CONFIG_HOME") ?? env("APPDATA") ?? (env("HOME") && joinFile(env("HOME")!, ".config"));
  return env("KERNELWRIGHT_CONFIG") ?? (base && joinFile(base, "kernelwright/config.json"));
}
