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
