import { type KernelwrightError, raise } from "../../errors.ts";
import { Constants } from "./wgsl_constants.ts";
import { type Declaration, type Declarations, declarationsOf } from "./wgsl_declarations.ts";
import { Layouts, type TypeLayout } from "./wgsl_layout.ts";
import { WgslFault } from "./wgsl_tokens.ts";
import { type WorkgroupNeeds, workgroupNeeds } from "./workgroup_needs.ts";

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
  /** Bytes before the first element: of a struct that ends in a runtime-sized array, those of its other members. */
  readonly header: number;
  /** The least that may be bound. */
  readonly least: number;
  /** Where elements have bytes that hold no number: their strides and the bytes of their numbers, outermost first. */
  readonly holes: readonly { readonly stride: number; readonly packed: number }[];
}

/** An override that a shader declares. */
export interface Override {
  /** `@id`, by which the driver knows it; otherwise by its name. */
  readonly id: number | undefined;
  /** `f32`, `f16`, `i32`, `u32` or `bool`. */
  readonly scalar: string;
  /** Whether it may be left out. */
  readonly hasDefault: boolean;
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
  /** Overrides by name. */
  readonly overrides: ReadonlyMap<string, Override>;
  /** The language extensions that it enables, e.g. `f16`. */
  readonly enables: ReadonlySet<string>;
  /** What an entry point's workgroup takes, with values of overrides by name. */
  readonly workgroup: (entryPoint: string, constants: Readonly<Record<string, number>>) => WorkgroupNeeds;
}

/**
 * Reads a shader's declarations.
 *
 * @param code The WGSL, complete.
 * @param fail Makes an error of what is wrong with the code.
 * @param file The author's name for it.
 * @throws KW-SHADER-COMPILE when it cannot be read; KW-SHADER-BINDING for what cannot be bound; KW-DISPATCH-UNIFORM.
 */
export function reflect(
  code: string,
  file: string,
  fail: (fault: WgslFault) => KernelwrightError,
): Reflection {
  try {
    return new ModuleReader(declarationsOf(code), file).read();
  } catch (e) {
    if (e instanceof WgslFault) throw fail(e);
    throw e;
  }
}

// ---------------------------------------------------------------------------

/** More than any adapter has; what this one has is checked where a pipeline is made. */
const MOST_GROUPS = 32;
const MOST_BINDINGS = 65536;
/** Half of the ring that uniforms go through. */
const MOST_UNIFORM_BYTES = 128 * 1024;

/** Reads one module's declarations. */
class ModuleReader {
  readonly #module: Declarations;
  readonly #file: string;
  readonly #constants: Constants;
  readonly #layouts: Layouts;

  constructor(module: Declarations, file: string) {
    [this.#module, this.#file] = [module, file];
    this.#constants = new Constants(module);
    this.#layouts = new Layouts(module, this.#constants);
  }

  read(): Reflection {
    const all = [...this.#module.byName.values()];
    const bound = all.filter((d) => d.kind === "var" && this.#isBound(d));
    const places = this.#places(bound);
    const inOrder = [...bound].sort((a, b) => {
      const [p, q] = [places.get(a)!, places.get(b)!];
      return p.group - q.group || p.binding - q.binding;
    });
    let uniformBytes = 0;
    const uniforms = inOrder.filter((d) => d.space[0] === "uniform").map((d) => {
      const u = this.#uniform(d, places.get(d)!);
      return { ...u, at: (uniformBytes += u.bytes) - u.bytes };
    });
    return {
      entryPoints: all.filter((d) => d.kind === "fn" && d.attributes.has("compute")).map((d) => d.name),
      storage: inOrder.filter((d) => d.space[0] === "storage").map((d) => this.#storage(d, places.get(d)!)),
      uniforms,
      uniformBytes,
      overrides: new Map(all.filter((d) => d.kind === "override").map((d) => [d.name, this.#override(d)])),
      enables: this.#module.enables,
      workgroup: (entryPoint, constants) => workgroupNeeds(this.#module, entryPoint, constants),
    };
  }

  /** Whether a variable takes a tensor or a uniform; one that takes something else is refused. */
  #isBound(d: Declaration): boolean {
    const [space = ""] = d.space;
    if (/^(storage|uniform)$/.test(space)) {
      for (const attribute of ["group", "binding"]) {
        if (d.attributes.get(attribute)?.length === 1) continue;
        throw new WgslFault(`"${d.name}" needs a number in @${attribute}(…)`, d.at, d.name.length);
      }
      if (!d.type) throw new WgslFault(`"${d.name}" needs a type`, d.at, d.name.length);
      return true;
    }
    if (/^(private|workgroup)$/.test(space)) return false;
    const type = d.type?.kind === "name" ? this.#behindAliases(d.type.name) : "";
    const what = /^texture_/.test(type)
      ? `the texture "${d.name}" (${type})`
      : /^sampler/.test(type)
      ? `the sampler "${d.name}"`
      : `"${d.name}" in the address space "${space || "handle"}"${type && ` (${type})`}`;
    raise(
      "KW-SHADER-BINDING",
      `The shader declares ${what}, and the SDK has no way to bind it: it binds tensors and uniforms`,
      "Declare a storage buffer, var<storage, read>, and give a tensor.",
      { file: this.#file, tensor: d.name },
    );
  }

  #behindAliases(name: string): string {
    for (let i = 0; i < 100; i++) {
      const alias = this.#module.byName.get(name);
      if (alias?.kind !== "alias" || alias.type?.kind !== "name") break;
      name = alias.type.name;
    }
    return name;
  }

  #places(bound: readonly Declaration[]): Map<Declaration, Place> {
    const places = new Map<Declaration, Place>();
    const taken = new Map<string, string>();
    for (const d of bound) {
      const number = (what: string, most: number) =>
        this.#constants.integer(d.attributes.get(what)![0], `@${what} of "${d.name}"`, 0, most - 1);
      const place = { group: number("group", MOST_GROUPS), binding: number("binding", MOST_BINDINGS) };
      const key = `@group(${place.group}) @binding(${place.binding})`;
      if (taken.has(key)) {
        raise(
          "KW-SHADER-BINDING",
          `"${taken.get(key)}" and "${d.name}" are both at ${key}`,
          "WGSL lets entry points share a place, and the SDK does not: give each a number of its own, or make a shader of each entry point.",
          { file: this.#file, tensor: d.name },
        );
      }
      taken.set(key, d.name);
      places.set(d, place);
    }
    return places;
  }

  #storage(d: Declaration, place: Place): StorageBinding {
    const type = this.#layouts.of(d.type!);
    const last = type.members?.at(-1);
    const tail = last?.type.count === 0 ? last : undefined;
    const array = tail?.type ?? (type.name.startsWith("array<") ? type : undefined);
    const element = array?.element ?? type;
    return {
      name: d.name,
      ...place,
      writes: /write/.test(d.space[1] ?? ""),
      element: element.name,
      scalar: tail ? undefined : element.scalar,
      stride: array?.stride ?? type.size,
      count: array ? array.count! : 1,
      header: tail?.offset ?? 0,
      least: tail ? type.size : array && array.count === 0 ? 0 : type.size,
      holes: holesOf(element, array !== undefined),
    };
  }

  #uniform(d: Declaration, place: Place): Omit<UniformBinding, "at"> {
    const type = this.#layouts.of(d.type!);
    const where = { file: this.#file, tensor: d.name };
    if (type.size > MOST_UNIFORM_BYTES) {
      raise(
        "KW-GPU-LIMIT",
        `The uniform "${d.name}" has ${type.size} bytes, and the SDK takes ${MOST_UNIFORM_BYTES} at most`,
        "Declare it var<storage, read> and give a tensor.",
        where,
      );
    }
    const members = type.members ?? [{ name: "", offset: 0, type }];
    return {
      name: d.name,
      ...place,
      bytes: Math.ceil(type.size / 16) * 16,
      fields: members.map((m) => {
        const { scalar } = m.type;
        if (!scalar || scalar === "f16" || scalar === "bool") {
          raise(
            "KW-DISPATCH-UNIFORM",
            `Cannot pack the uniform field "${d.name}.${m.name}" of type ${m.type.name}`,
            "Use f32, i32, u32, their vectors and matrices, and arrays of those.",
            { file: this.#file },
          );
        }
        return { name: m.name, scalar, offset: m.offset, lanes: lanesOf(m.type) };
      }),
    };
  }

  #override(d: Declaration): Override {
    const id = d.attributes.get("id")?.[0];
    const type = d.type?.kind === "name" ? this.#behindAliases(d.type.name) : undefined;
    return {
      id: id && this.#constants.integer(id, `@id of "${d.name}"`, 0, 65535),
      scalar: type ?? this.#kindOfDefault(d.value!),
      hasDefault: d.value !== undefined,
    };
  }

  #kindOfDefault(value: number): string {
    try {
      return new Constants(this.#module, {}).kindOf(value);
    } catch (e) {
      if (e instanceof WgslFault) return "f32"; // any number goes; the driver knows better
      throw e;
    }
  }
}

interface Place {
  readonly group: number;
  readonly binding: number;
}

/** The strides at which a tensor's rows must follow each other, where an element has more bytes than numbers. */
function holesOf(element: TypeLayout, repeats: boolean): StorageBinding["holes"] {
  const holes: { stride: number; packed: number }[] = [];
  for (let type: TypeLayout | undefined = element; type; type = type.element) {
    const stride = repeats ? Math.ceil(type.size / type.align) * type.align : type.size;
    if (stride > type.packed) holes.push({ stride, packed: type.packed });
    repeats = true; // columns and inner elements
  }
  return holes;
}

/** Byte offsets of a type's numbers, row after row, in the order in which one writes them down. */
function lanesOf(type: TypeLayout): number[] {
  const { element, count = 0, stride = 0 } = type;
  if (element) {
    const one = lanesOf(element);
    return Array.from({ length: count }, (_, i) => one.map((o) => i * stride + o)).flat();
  }
  return Array.from({ length: type.size / 4 }, (_, i) => i * 4);
}
