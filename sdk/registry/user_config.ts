import { checkArgument } from "../arguments.ts";
import * as z from "zod";
import { fs, hasFiles, isMissing, joinFile, messageOf, variable } from "../host/mod.ts";
import { raise } from "../errors.ts";
import type { Registries } from "./registries.ts";
import type { Trust } from "./trust.ts";

/** What the user's configuration says of references. */
export interface UserSettings extends Trust {
  /** Where packages are. */
  readonly registries?: Registries;
  /** What the user locked with trust: references by the SHA-256 of their kernel.json. Written by `lock --trust`. */
  readonly trusted?: Readonly<Record<string, string>>;
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
 * @param path The file; defaults to the user's. None is read where the environment may not be asked for it.
 * @throws KW-REF-UNTRUSTED when the file cannot be read: who is trusted must not be guessed.
 *
 * @example
 * ```ts
 * import { userSettings } from "@kernelwright/sdk/registry";
 * import { assertEquals } from "@std/assert";
 *
 * await Deno.writeTextFile("./trust.json", '{ "publishers": ["jsr:@you/"] }');
 * const { publishers } = await userSettings("./trust.json"); // defaults to the user's own file
 * assertEquals(publishers, ["jsr:@you/"]);
 * ```
 */
export async function userSettings(path: string | undefined = configPath()): Promise<UserSettings> {
  if (path !== undefined) checkArgument("userSettings(): path", path, "a string");
  if (!path || !hasFiles()) return {};
  let text: string;
  try {
    text = await fs().readFile(path, "utf8");
  } catch (cause) {
    if (isMissing(cause)) return {};
    raise(
      "KW-REF-UNTRUSTED",
      `Your configuration, which says who is trusted, cannot be read: ${messageOf(cause)}`,
      "KERNELWRIGHT_CONFIG names a file, and not a folder.",
      { file: path },
      cause,
    );
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

/** Whether the user said, as they locked it, that the code with this kernel.json may run. @throws KW-REF-UNTRUSTED */
export async function isTrustedByUser(manifest: string, path?: string): Promise<boolean> {
  return Object.hasOwn((await userSettings(path)).trusted ?? {}, manifest);
}

/**
 * Keeps in the user's configuration that the code with a kernel.json may run.
 *
 * @param manifest The SHA-256 of kernel.json. @param href The reference, for who reads the file.
 * @throws KW-REF-UNTRUSTED where it cannot be kept.
 */
export async function keepTrust(manifest: string, href: string, path = configPath()): Promise<void> {
  const cannot = (why: string, cause?: unknown) =>
    raise(
      "KW-REF-UNTRUSTED",
      `Cannot keep in your configuration that ${href} is trusted: ${why}`,
      "Set KERNELWRIGHT_CONFIG to a file that can be written.",
      { file: path },
      cause,
    );
  if (!path) return cannot("there is none");
  const settings = await userSettings(path);
  if (Object.hasOwn(settings.trusted ?? {}, manifest)) return;
  const { mkdir, realpath, rename, rm, writeFile } = fs();
  const text = JSON.stringify({ ...settings, trusted: { ...settings.trusted, [manifest]: href } }, null, 2);
  let draft: string | undefined;
  try {
    const folder = path.replace(/[^/\\]*$/, "");
    if (folder) await mkdir(folder, { recursive: true });
    const file = await realpath(path).catch(() => path); // it may be a link of the user's own
    draft = `${file}.${crypto.randomUUID()}`;
    await writeFile(draft, `${text}\n`, { flag: "wx", mode: 0o600 });
    await rename(draft, file);
  } catch (cause) {
    if (draft) await rm(draft, { force: true }).catch(() => {});
    cannot(messageOf(cause), cause);
  }
}

// ---------------------------------------------------------------------------

const Schema = z.strictObject({
  publishers: z.array(z.string().regex(/^(https:\/\/|jsr:@|npm:).*\/$/)).optional(),
  trust: z.union([z.boolean(), z.array(z.string())]).optional(),
  trusted: z.record(z.string().regex(/^[0-9a-f]{64}$/), z.string()).optional(),
  registries: z.strictObject({ npm: z.url().optional(), jsr: z.url().optional() }).optional(),
});

function configPath(): string | undefined {
  const home = variable("HOME");
  const base = variable("XDG_CONFIG_HOME") || variable("APPDATA") || (home && joinFile(home, ".config"));
  return variable("KERNELWRIGHT_CONFIG") || (base && joinFile(base, "kernelwright/config.json"));
}
