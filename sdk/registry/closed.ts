/**
 * Whether a bundle is closed: besides the SDK, its code loads nothing but files that kernel.json has the digests of.
 *
 * Decided on the syntax tree and not on the text, so that a string or a comment is not an import, and an import in any
 * spelling is one. It is not a sandbox: what a trusted kernel does, it does with the user's rights.
 */
import { type AnyNode, type Node, parse } from "acorn";
import { raise } from "../errors.ts";

/** Something that would load code which no digest covers. */
export interface Reach {
  /** The bundle's file. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** What it does, e.g. `imports "https://a.example/x.js"`. */
  readonly what: string;
}

/** An import of another file of the bundle. */
export interface OwnImport {
  /** The file's name. */
  readonly name: string;
  /** Where its specifier stands in the text: from. */
  readonly start: number;
  /** Up to. */
  readonly end: number;
}

/** What a file's code loads. */
export interface Scan {
  /** The text that was read: the one to run. */
  readonly text: string;
  /** The bundle's own files. */
  readonly own: readonly OwnImport[];
  /** All else. */
  readonly reaches: readonly Reach[];
}

/** What is run as code. */
export const CODE_FILE = /\.m?js$/;

/**
 * Reads what a file of a bundle loads, and runs none of it.
 *
 * @param names The bundle's files.
 */
export function scanCode(file: string, bytes: Uint8Array, names: ReadonlySet<string>): Scan {
  let text = "";
  let tree: Node;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    tree = parse(text, { ecmaVersion: "latest", sourceType: "module", locations: true });
  } catch (cause) {
    const line = (cause as { loc?: { line: number } }).loc?.line ?? 1;
    const why = cause instanceof Error ? cause.message : String(cause);
    return { text, own: [], reaches: [{ file, line, what: `cannot be read as JavaScript: ${why}` }] };
  }
  const own: OwnImport[] = [];
  const reaches: Reach[] = [];
  const visit = (node: AnyNode, parent: AnyNode | undefined) => {
    const found = loadOf(node, parent);
    if (!found) return;
    const line = node.loc?.start.line ?? 1;
    if (typeof found === "string") return reaches.push({ file, line, what: found });
    const { specifier, type, at } = found;
    const name = specifier.startsWith("./") ? specifier.slice(2) : undefined;
    if (SDK_ENTRIES.has(specifier)) return;
    if (name !== undefined && names.has(name) && (type !== undefined || CODE_FILE.test(name))) {
      own.push({ name, start: at.start, end: at.end });
    } else reaches.push({ file, line, what: `imports ${JSON.stringify(specifier)}` });
  };
  const open: [AnyNode, AnyNode | undefined][] = [[tree as AnyNode, undefined]]; // depth is a stranger's
  for (let next = open.pop(); next; next = open.pop()) {
    visit(...next);
    for (const value of Object.values(next[0])) {
      for (const child of Array.isArray(value) ? value : [value]) {
        if (typeof child?.type === "string") open.push([child, next[0]]);
      }
    }
  }
  return { text, own, reaches: reaches.sort((a, b) => a.line - b.line) };
}

/** What all files of a bundle would load besides themselves and the SDK. */
export function reachesOutside(files: ReadonlyMap<string, Uint8Array>, entry: string): Reach[] {
  const names = new Set(files.keys());
  return [...files].filter(([name]) => name === entry || CODE_FILE.test(name))
    .flatMap(([name, bytes]) => scanCode(name, bytes, names).reaches);
}

/** Refuses what reaches outside. @throws KW-REF-IMPORT */
export function checkClosed([first, ...rest]: readonly Reach[], href: string): void {
  if (!first) return;
  raise(
    "KW-REF-IMPORT",
    `The bundle is not closed: ${describeReach(first)}${rest.length > 0 ? `, and ${rest.length} more` : ""}`,
    "Do not use it: no digest covers what it would load. Its publisher copies it into the package.",
    { file: href },
  );
}

/** What of the SDK a bundle may import: all that deno.json exports but its insides and its program. */
export const SDK_ENTRIES: ReadonlySet<string> = new Set(
  ["", "/ops", "/nn", "/models", "/checkpoint", "/config", "/inspect", "/testing", "/registry"]
    .map((path) => `@kernelwright/sdk${path}`),
);

/** `kernel.js:3 imports "https://a.example/x.js"`. */
export function describeReach({ file, line, what }: Reach): string {
  return `${file}:${line} ${what}`;
}

// ---------------------------------------------------------------------------

/** Names that are no danger to any page or process, of what `import.meta` has. */
const META = new Set(["url", "main", "filename", "dirname"]);

/** Globals that load code, or make it of text. */
const LOADERS = new Set(["eval", "Function", "Worker", "SharedWorker", "importScripts", "require"]);

/** Members that do, whatever they are members of. */
const LOADING_MEMBERS = new Set([
  "createRequire",
  "getBuiltinModule",
  "importScripts",
  "dlopen",
  "serviceWorker",
  "addModule",
]);

const GLOBAL_OBJECTS = new Set(["globalThis", "self", "window", "global", "top", "parent", "frames"]);

interface Load {
  readonly specifier: string;
  /** The attribute `type`. */
  readonly type?: string;
  readonly at: Node;
}

/** What a node loads: a specifier, something that is never allowed, or nothing. */
function loadOf(node: AnyNode, parent: AnyNode | undefined): Load | string | undefined {
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportAllDeclaration":
    case "ExportNamedDeclaration": {
      if (!node.source) return undefined;
      const type = node.attributes.find((a) => textOf(a.key) === "type" || nameOf(a.key) === "type");
      return { specifier: String(node.source.value), type: type && textOf(type.value), at: node.source };
    }
    case "ImportExpression": {
      const specifier = textOf(node.source);
      if (specifier === undefined) return "imports what it computes as it runs";
      const type = node.options ? typeOfOptions(node.options) : undefined;
      return node.options && type === undefined
        ? `imports ${JSON.stringify(specifier)} with options that are computed`
        : { specifier, type, at: node.source };
    }
    case "MetaProperty":
      if (node.meta.name !== "import") return undefined;
      return parent?.type === "MemberExpression" && META.has(memberOf(parent) ?? "")
        ? undefined
        : `uses import.meta.${parent?.type === "MemberExpression" ? memberOf(parent) ?? "[…]" : ""}`;
    case "MemberExpression":
      return loadOfMember(node, parent);
    case "Property": {
      if (parent?.type !== "ObjectPattern") return undefined;
      const key = node.computed ? textOf(node.key) : nameOf(node.key) ?? textOf(node.key);
      return key !== undefined && (LOADING_MEMBERS.has(key) || key === "constructor")
        ? `takes ${key}`
        : undefined;
    }
    case "NewExpression":
    case "CallExpression":
      return loadOfCall(node);
    case "Identifier":
      return isReference(node, parent) ? loadOfName(node.name, parent) : undefined;
  }
}

function loadOfMember(
  node: AnyNode & { type: "MemberExpression" },
  parent: AnyNode | undefined,
): string | undefined {
  const name = memberOf(node);
  const object = node.object.type === "MemberExpression" ? memberOf(node.object) : nameOf(node.object);
  if (name === undefined) {
    return object === "globalThis" || object === "Deno"
      ? "uses a global by a name that it computes"
      : undefined;
  }
  if (LOADING_MEMBERS.has(name)) return `uses ${name}`;
  if (name === "constructor" && node.object.type !== "ThisExpression") { // (() => {}).constructor is Function
    const looked = parent?.type === "BinaryExpression" ||
      (parent?.type === "MemberExpression" && parent.object === node && memberOf(parent) === "name");
    if (!looked) return "takes the constructor of a value, which can be Function";
  }
  if (object !== undefined && GLOBAL_OBJECTS.has(object) && LOADERS.has(name)) return `uses ${name}`;
  return object === "Deno" && name === "Command" ? "starts programs with Deno.Command" : undefined;
}

function loadOfCall(node: AnyNode & { type: "CallExpression" | "NewExpression" }): string | undefined {
  const { callee, arguments: [first] } = node;
  const timer = /^set(Timeout|Interval)$/.test(
    (callee.type === "MemberExpression" ? memberOf(callee) : nameOf(callee)) ?? "",
  );
  const isText = first &&
    (textOf(first) !== undefined || /^(TemplateLiteral|BinaryExpression)$/.test(first.type));
  return timer && isText ? "runs text as code in a timer" : undefined;
}

function loadOfName(name: string, parent: AnyNode | undefined): string | undefined {
  if (name === "Function" && parent?.type === "BinaryExpression" && parent.operator === "instanceof") {
    return undefined;
  }
  if (LOADERS.has(name) || LOADING_MEMBERS.has(name)) return `uses ${name}`;
  if (name !== "globalThis") return undefined;
  const harmless = parent?.type === "MemberExpression" ||
    (parent?.type === "UnaryExpression" && parent.operator === "typeof");
  return harmless ? undefined : "hands the global object on";
}

/** Whether a name stands for a variable, and not for a member, a key or an export. */
function isReference(node: AnyNode, parent: AnyNode | undefined): boolean {
  switch (parent?.type) {
    case "MemberExpression":
      return parent.computed || parent.object === node;
    case "Property":
      return parent.computed || parent.shorthand || parent.value === node;
    case "MethodDefinition":
    case "PropertyDefinition":
      return parent.computed || parent.value === node;
    case "ExportSpecifier":
      return parent.local === node;
    case "ImportSpecifier":
      return parent.local === node;
    case "ImportAttribute":
    case "LabeledStatement":
    case "MetaProperty":
      return false;
    default:
      return true;
  }
}

/** The member's name, where it is written. */
function memberOf(node: AnyNode & { type: "MemberExpression" }): string | undefined {
  return node.computed ? textOf(node.property) : nameOf(node.property);
}

function nameOf(node: Node): string | undefined {
  const { type, name } = node as Node & { name?: string };
  return type === "Identifier" ? name : undefined;
}

/** The value of a string, also of one in backticks that has nothing filled in. */
function textOf(node: Node): string | undefined {
  const { type, value, quasis } = node as Node & {
    value?: unknown;
    quasis?: readonly { value: { cooked?: string | null } }[];
  };
  if (type === "Literal") return typeof value === "string" ? value : undefined;
  return type === "TemplateLiteral" && quasis?.length === 1 ? quasis[0].value.cooked ?? undefined : undefined;
}

/** The type in `{ with: { type: "json" } }`. */
function typeOfOptions(options: Node): string | undefined {
  const given = propertyOf(options, "with");
  const type = given && propertyOf(given, "type");
  return type && textOf(type);
}

/** The value of an object's only property, where that is what it is called. */
function propertyOf(node: Node, name: string): Node | undefined {
  const { type, properties } = node as AnyNode & { type: "ObjectExpression" };
  if (type !== "ObjectExpression" || properties.length !== 1) return undefined;
  const [property] = properties;
  if (property.type !== "Property" || property.computed) return undefined;
  return (nameOf(property.key) ?? textOf(property.key)) === name ? property.value : undefined;
}
