/** The checkpoints that tests may use where they are there: `../shared/models` beside the repository. */

const ROOT = new URL("../../../shared/models/", import.meta.url);

/** The folder of a checkpoint, or undefined where it is absent; then a line says that tests are skipped. */
export function modelFolder(name: string): string | undefined {
  const url = new URL(`${name}/`, ROOT);
  try {
    if (Deno.statSync(url).isDirectory) return decodeURIComponent(url.pathname).replace(/\/$/, "");
  } catch {
    // absent
  }
  console.warn(`skipped: there is no ../shared/models/${name}`);
  return undefined;
}

/** The names of all checkpoints that are there. */
export function modelNames(): string[] {
  try {
    return [...Deno.readDirSync(ROOT)].filter((e) => e.isDirectory).map((e) => e.name).sort();
  } catch {
    console.warn("skipped: there is no ../shared/models");
    return [];
  }
}

/** A checkpoint's config.json; nothing where there is none, as beside a GGUF file. */
export function configOf(name: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(Deno.readTextFileSync(new URL(`${name}/config.json`, ROOT)));
  } catch {
    return {};
  }
}

/** Whether a checkpoint's weights are quantised, as its config says; a GGUF file's are. */
export function isQuantised(name: string): boolean {
  const config = configOf(name);
  return Object.keys(config).length === 0 || "quantization_config" in config || "quantization" in config;
}
