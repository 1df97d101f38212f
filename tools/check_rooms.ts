/**
 * Who may import whom, by `tools/house.ts`: a room imports only from lower floors or from itself, and from another
 * room only its `mod.ts`; a wing imports only from wings to its left; files do not import each other in a circle,
 * types apart.
 *
 * Imports are read by Deno itself (`deno info`), so that types, re-exports and literal dynamic imports count
 * and text that only looks like an import does not.
 *
 *     deno run -A tools/check_rooms.ts [folder]
 *
 * @module
 */
import { basename, fromFileUrl, join, relative, resolve, SEPARATOR, toFileUrl } from "@std/path";
import { FLOORS, TOP, WINGS } from "./house.ts";
import { walk } from "./walk.ts";

/** Every violation below `root`, each as `file:line: what is wrong`. */
export async function checkRooms(root: string): Promise<string[]> {
  root = resolve(root);
  const files = walk(join(root, "sdk"), (path) => /\.[mc]?[jt]sx?$/.test(path));
  const found: string[] = [];
  const imports = await readImports(files, root);
  for (const { file, target, specifier, line } of imports) {
    const [from, to] = [roomOf(file, root), roomOf(target, root)];
    const problem = judge(from, to) ?? judgeWithin(from, to, relative(root, file), relative(root, target));
    if (problem) found.push(`${relative(root, file)}:${line}: "${specifier}": ${problem}`);
  }
  return [...found, ...circles(imports, root), ...checkEntry(root)];
}

// ---------------------------------------------------------------------------------------------------------

/** Why a room must not import another; nothing if it may. */
function judge(from: string | undefined, to: string | undefined): string | undefined {
  if (from === undefined || to === undefined || from === to) return undefined;
  const [a, b] = [floorOf(from), floorOf(to)];
  if (a < 0) return `sdk/${from} is not a room: give it a floor in tools/house.ts`;
  if (b < 0) return `room "${from}" imports "${to}", which is not a room of the SDK`;
  if (b < a) return undefined;
  return a === b
    ? `room "${from}" imports its sibling "${to}"`
    : `room "${from}" imports "${to}", which is above it`;
}

/** Why a file must not import another that its room may see; nothing if it may. */
function judgeWithin(
  from: string | undefined,
  to: string | undefined,
  file: string,
  target: string,
): string | undefined {
  if (from === undefined || to === undefined) return undefined;
  if (from !== to) {
    if (to === "errors" || basename(target) === "mod.ts") return undefined;
    return `room "${from}" reaches past sdk/${to}/mod.ts`;
  }
  const order = WINGS[from];
  if (!order || basename(file) === "mod.ts" || !target.endsWith(".ts")) return undefined;
  const [a, b] = [wingOf(file), wingOf(target)];
  if (a === b) return undefined;
  for (const wing of [a, b]) {
    if (!order.includes(wing)) return `sdk/${from}/${wing} has no place among the wings in tools/house.ts`;
  }
  if (order.indexOf(b) < order.indexOf(a)) return undefined;
  return `${nameWing(a)} imports ${nameWing(b)}, which is to its right`;
}

/** The folder of a file below its room, or {@linkcode TOP}. */
function wingOf(path: string): string {
  const parts = path.split(SEPARATOR);
  return parts.length > 3 ? parts[2] : TOP;
}

function nameWing(wing: string): string {
  return wing === TOP ? "the room's top" : `wing "${wing}"`;
}

/** Files that need each other to be evaluated: each circle once, as the way around it. */
function circles(imports: readonly Import[], root: string): string[] {
  const next = new Map<string, string[]>();
  for (const { file, target, typeOnly } of imports) {
    if (typeOnly) continue;
    const list = next.get(file);
    if (list) list.push(target);
    else next.set(file, [target]);
  }
  const found: string[] = [];
  const done = new Set<string>();
  const way: string[] = [];
  const visit = (file: string) => {
    const at = way.indexOf(file);
    if (at >= 0) {
      const circle = [...way.slice(at), file].map((f) => relative(root, f));
      found.push(`${circle[0]}: a circle of imports: ${circle.join(" → ")}`);
      return;
    }
    if (done.has(file)) return;
    way.push(file);
    for (const target of next.get(file) ?? []) visit(target);
    way.pop();
    done.add(file);
  };
  for (const file of next.keys()) visit(file);
  return found;
}

function floorOf(room: string): number {
  return FLOORS.findIndex((rooms) => rooms.includes(room));
}

/** The room of a file, or its path where it lies outside of sdk/; nothing for packages. */
function roomOf(file: string, root: string): string | undefined {
  const path = relative(root, file).split(SEPARATOR);
  if (path[0] === ".." || path.includes("node_modules")) return undefined;
  if (path[0] === "tools" && path[1] === "std") return undefined; // the stand-ins are packages
  if (path[0] !== "sdk") return path.join("/");
  return path.length === 2 ? "errors" : path[1];
}

interface Import {
  file: string;
  target: string;
  specifier: string;
  line: number;
  /** Whether nothing of it is evaluated. */
  typeOnly: boolean;
}

/** The part of the output of `deno info --json` that matters here. */
interface Graph {
  modules: { specifier: string; dependencies?: Dependency[] }[];
}
interface Dependency {
  specifier: string;
  code?: Resolved;
  type?: Resolved;
}
interface Resolved {
  specifier?: string;
  span: { start: { line: number } };
}

async function readImports(files: string[], root: string): Promise<Import[]> {
  const folder = Deno.makeTempDirSync({ prefix: "kernelwright-rooms-" });
  try {
    const entry = join(folder, "all.ts");
    Deno.writeTextFileSync(entry, files.map((file) => `import "${toFileUrl(file)}";\n`).join(""));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--no-lock", "--config", join(root, "deno.json"), entry],
    }).output();
    if (code !== 0) throw new Error(`deno info failed: ${new TextDecoder().decode(stderr)}`);
    const graph: Graph = JSON.parse(new TextDecoder().decode(stdout));
    const known = new Set(files.map((file) => toFileUrl(file).href));
    return graph.modules.filter((module) => known.has(module.specifier)).flatMap(importsOf);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function importsOf(module: Graph["modules"][number]): Import[] {
  return (module.dependencies ?? []).flatMap(({ specifier, code, type }) => {
    const resolved = code ?? type;
    if (!resolved?.specifier?.startsWith("file:")) return [];
    return [{
      file: fromFileUrl(module.specifier),
      target: fromFileUrl(resolved.specifier),
      specifier,
      line: resolved.span.start.line + 1,
      typeOnly: code === undefined,
    }];
  });
}

/** `mod.ts` is a list of what there is: nothing happens in it. */
function checkEntry(root: string): string[] {
  let text: string;
  try {
    text = Deno.readTextFileSync(join(root, "mod.ts"));
  } catch {
    return []; // publishing complains about that
  }
  // What may be there is blanked out, its line breaks kept, so that what is left still knows its line.
  const blank = (match: string) => match.replaceAll(/[^\n]/g, "");
  const rest = text
    .replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, blank)
    .replaceAll(/export\s+(type\s+)?(\{[^}]*\}|\*(\s+as\s+\w+)?)\s+from\s+"[^"]*";?/g, blank);
  return rest.split("\n").flatMap((line, i) =>
    line.trim() === "" ? [] : [`mod.ts:${i + 1}: only re-exports belong here: ${line.trim()}`]
  );
}

if (import.meta.main) {
  const found = await checkRooms(Deno.args[0] ?? fromFileUrl(new URL("..", import.meta.url)));
  for (const violation of found) console.error(violation);
  if (found.length > 0) Deno.exitCode = 1;
}
