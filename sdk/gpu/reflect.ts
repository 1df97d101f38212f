import { WgslReflect } from "wgsl_reflect";
import { KernelwrightError, raise } from "../errors.ts";

/** A storage buffer that a shader declares. */
export interface StorageBinding {
  /** The variable's name. */
  readonly name: string;
  /** `@group`. */
  readonly group: number;
  /** `@binding`. */
  readonly binding: number;
  /** Whether the shader may write it. */
  readonly writes: boolean;
  /** The element type as written, e.g. `vec4<f32>`. */
  readonly element: string;
  /** The scalar type inside, or undefined for a struct. */
  readonly scalar: string | undefined;
  /** Bytes from one element to the next. */
  readonly stride: number;
  /** The fixed element count, or 0 for a runtime-sized array. */
  readonly count: number;
}

/** A field of a uniform. */
export interface UniformField {
  /** The field's name; empty for a uniform that is not a struct. */
  readonly name: string;
  /** `f32`, `i32` or `u32`. */
  readonly scalar: string;
  /** Byte offset in the uniform. */
  readonly offset: number;
  /** Byte offset of each number from `offset`, in the order in which numbers are given. */
  readonly lanes: readonly number[];
}

/** A uniform that a shader declares. */
export interface UniformBinding {
  /** The variable's name. */
  readonly name: string;
  /** `@group`. */
  readonly group: number;
  /** `@binding`. */
  readonly binding: number;
  /** Its size in bytes, a multiple of 16. */
  readonly bytes: number;
  /** Where it begins among the shader's uniforms, when they are packed behind each other. */
  readonly at: number;
  /** Its fields. */
  readonly fields: readonly UniformField[];
}

/** What a shader declares. */
export interface Reflection {
  /** Names of its compute entry points. */
  readonly entryPoints: readonly string[];
  /** Storage buffers, ordered by group and binding. */
  readonly storage: readonly StorageBinding[];
  /** Uniforms, ordered by group and binding. */
  readonly uniforms: readonly UniformBinding[];
  /** Bytes of all uniforms, packed behind each other. */
  readonly uniformBytes: number;
  /** Overrides: name, and whether it has a default. */
  readonly overrides: ReadonlyMap<string, boolean>;
}

/**
 * Reads a shader's declarations.
 *
 * @param code The WGSL, complete.
 * @param file The author's name for it.
 * @param skipLines Lines at the start of `code` that are not in the author's file.
 * @throws KW-SHADER-COMPILE when it cannot be parsed.
 */
export function reflect(code: string, file: string, skipLines: number): Reflection {
  const parsed = parse(code, file, skipLines);
  const byPlace = (a: Place, b: Place) => a.group - b.group || a.binding - b.binding;
  const uniforms = parsed.uniforms.map((v) => uniformBinding(v, file)).sort(byPlace);
  let uniformBytes = 0;
  return {
    entryPoints: parsed.entry.compute.map((f) => f.name),
    storage: parsed.storage.map(storageBinding).sort(byPlace),
    uniforms: uniforms.map((u) => ({ ...u, at: (uniformBytes += u.bytes) - u.bytes })),
    uniformBytes,
    overrides: new Map(parsed.overrides.map((o) => [o.name, hasDefault(code, o.name)])),
  };
}

// ---------------------------------------------------------------------------

// The parts of wgsl_reflect's type descriptions that are read here.
interface TypeInfo {
  name: string;
  size: number;
  stride?: number;
  count?: number;
  format?: TypeInfo | null;
  members?: { name: string; offset: number; size: number; type: TypeInfo }[];
}
interface Place {
  group: number;
  binding: number;
}
interface Variable extends Place {
  name: string;
  access: string;
  type: TypeInfo;
}

interface Parsed {
  entry: { compute: { name: string }[] };
  storage: Variable[];
  uniforms: Variable[];
  overrides: { name: string }[];
}

const SHORT: Record<string, string> = { f: "f32", h: "f16", i: "i32", u: "u32" };

function parse(code: string, file: string, skipLines: number): Parsed {
  try {
    return new WgslReflect(code);
  } catch (cause) {
    const renamed = withOtherNames(code);
    if (renamed) return renamed;
    const message = cause instanceof Error ? cause.message : String(cause);
    const at = /^(.*?)\.*\s*Line:\s*(\d+)/s.exec(message);
    const line = at ? Math.max(1, Number(at[2]) - skipLines) : undefined;
    const text = code.split("\n").slice(skipLines).join("\n");
    throw new KernelwrightError({
      code: "KW-SHADER-COMPILE",
      what: `The shader cannot be parsed: ${at?.[1] ?? message}`,
      where: { file, line },
      excerpt: line ? { text, length: Math.max(1, text.split("\n")[line - 1]?.length ?? 1) } : undefined,
    }, cause);
  }
}

/**
 * wgsl_reflect 1.6.0 takes some words for keywords that WGSL does not, and refuses them in the body of a function. Only
 * declarations are read here, so these words may as well have another letter there.
 */
const TAKEN_FOR_KEYWORDS =
  /(?<!\b(?:ptr|var)\s*<\s*)\b(block|function|immediate|private|ptr|read|read_write|storage|uniform|workgroup|write)\b/g;

function withOtherNames(code: string): Parsed | undefined {
  const plain = code.replace(/\/\*[^]*?\*\/|\/\/.*/g, (comment) => comment.replace(/[^\n]/g, " "));
  let renamed = "";
  let at = 0;
  for (const head of plain.matchAll(/\bfn\b[^{;]*\{/g)) {
    const open = head.index + head[0].length;
    let depth = 1;
    let end = open;
    while (end < plain.length && depth > 0) depth += { "{": 1, "}": -1 }[plain[end++]] ?? 0;
    renamed += plain.slice(at, open) + plain.slice(open, end).replace(TAKEN_FOR_KEYWORDS, "$1_");
    at = end;
  }
  try {
    return new WgslReflect(renamed + plain.slice(at));
  } catch {
    return undefined; // then the error of the author's own code is the one to show
  }
}

function storageBinding(v: Variable): StorageBinding {
  const element = v.type.name === "array" ? v.type.format! : v.type;
  return {
    name: v.name,
    group: v.group,
    binding: v.binding,
    writes: v.access !== "read" && v.access !== "",
    element: typeName(element),
    scalar: scalarOf(element),
    stride: v.type.stride ?? element.size,
    count: v.type.name === "array" ? v.type.count ?? 0 : 1,
  };
}

function uniformBinding(v: Variable, file: string): Omit<UniformBinding, "at"> {
  const members = v.type.members ?? [{ name: "", offset: 0, size: v.type.size, type: v.type }];
  return {
    name: v.name,
    group: v.group,
    binding: v.binding,
    bytes: Math.ceil(v.type.size / 16) * 16,
    fields: members.map((m) => {
      const scalar = scalarOf(m.type.name === "array" ? m.type.format! : m.type);
      if (!scalar || scalar === "f16" || scalar === "bool") {
        raise(
          "KW-DISPATCH-UNIFORM",
          `Cannot pack the uniform field "${v.name}.${m.name}" of type ${typeName(m.type)}`,
          "Use f32, i32, u32, their vectors and matrices, and arrays of those.",
          { file },
        );
      }
      return { name: m.name, scalar, offset: m.offset, lanes: lanesOf(m.type) };
    }),
  };
}

/** Byte offsets of a type's numbers, row after row, in the order in which one writes them down. */
function lanesOf(type: TypeInfo): number[] {
  if (type.name === "array") {
    const one = lanesOf(type.format!);
    return Array.from({ length: type.count ?? 0 }, (_, i) => one.map((o) => i * type.stride! + o)).flat();
  }
  const matrix = /^mat(\d)x(\d)/.exec(type.name);
  if (matrix) {
    const [columns, rows] = [Number(matrix[1]), Number(matrix[2])];
    const columnBytes = rows === 2 ? 8 : 16;
    return Array.from(
      { length: columns * rows },
      (_, i) => Math.floor(i / rows) * columnBytes + (i % rows) * 4,
    );
  }
  const lanes = Number(/^vec(\d)/.exec(type.name)?.[1] ?? 1);
  return Array.from({ length: lanes }, (_, i) => i * 4);
}

function scalarOf(type: TypeInfo): string | undefined {
  if (/^(f32|f16|i32|u32|bool)$/.test(type.name)) return type.name;
  const short = /^(?:vec\d|mat\dx\d)([fhiu])$/.exec(type.name);
  if (short) return SHORT[short[1]];
  return type.format && type.name !== "array" ? scalarOf(type.format) : undefined;
}

function typeName(type: TypeInfo): string {
  return type.format ? `${type.name}<${typeName(type.format)}>` : type.name;
}

// wgsl_reflect does not tell whether an override has a value.
function hasDefault(code: string, name: string): boolean {
  const bare = code.replace(/\/\/.*$/gm, "").replace(/\/\*[\s\S]*?\*\//g, "");
  return new RegExp(`\\boverride\\s+${name}\\b[^;]*=`).test(bare);
}
