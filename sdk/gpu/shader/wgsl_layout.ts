/** Sizes and offsets of types in memory, as the WGSL specification has them (14.4, "Memory Layout"). */
import type { Constants } from "./wgsl_constants.ts";
import type { Attributes, Declarations } from "./wgsl_declarations.ts";
import type { Expression } from "./wgsl_expressions.ts";
import { WgslFault } from "./wgsl_tokens.ts";

/** A type in memory. */
export interface TypeLayout {
  /** Its full name, e.g. `vec4<f32>`; a struct's own. */
  readonly name: string;
  /** Its bytes; with one element where an array has no fixed count. */
  readonly size: number;
  /** What its address is a multiple of. */
  readonly align: number;
  /** The bytes of its numbers alone. */
  readonly packed: number;
  /** The scalar type inside; undefined where there is a struct. */
  readonly scalar?: string;
  /** Of an array, and of a matrix, whose elements are its columns. */
  readonly element?: TypeLayout;
  /** How many elements; 0 where it is not fixed. */
  readonly count?: number;
  /** Bytes from one element to the next. */
  readonly stride?: number;
  /** Of a struct. */
  readonly members?: readonly { readonly name: string; readonly offset: number; readonly type: TypeLayout }[];
}

/** Lays out the types of a module. */
export class Layouts {
  readonly #module: Declarations;
  readonly #constants: Constants;
  readonly #known = new Map<string, TypeLayout | undefined>();
  #depth = 0;

  /** For a module, with its constants. */
  constructor(module: Declarations, constants: Constants) {
    [this.#module, this.#constants] = [module, constants];
  }

  /**
   * A type's layout.
   *
   * @throws WgslFault where it has none, or cannot be worked out.
   */
  of(e: Expression): TypeLayout {
    if (e.kind !== "name") throw new WgslFault("expected a type", e.at);
    if (++this.#depth > DEEPEST) throw new WgslFault("the type is nested too deeply", e.at);
    const layout = this.#module.byName.has(e.name) ? this.#declared(e.name, e) : this.#predeclared(e);
    this.#depth--;
    return layout;
  }

  #declared(name: string, e: Expression): TypeLayout {
    const declared = this.#module.byName.get(name)!;
    const known = this.#known.get(name);
    if (known) return known;
    if (this.#known.has(name)) throw new WgslFault(`"${name}" contains itself`, declared.at, name.length);
    this.#known.set(name, undefined);
    if (declared.kind !== "alias" && declared.kind !== "struct") {
      throw new WgslFault(`"${name}" is not a type`, e.at, name.length);
    }
    const layout = declared.kind === "alias" ? this.of(declared.type!) : this.#struct(name);
    this.#known.set(name, layout);
    return layout;
  }

  #predeclared(e: Expression & { kind: "name" }): TypeLayout {
    const { name, args = [] } = e;
    const only = () => {
      if (args.length !== 1) {
        throw new WgslFault(`"${name}" needs one type between < and >`, e.at, name.length);
      }
      return this.of(args[0]);
    };
    if (Object.hasOwn(SCALARS, name)) return scalar(name);
    const vector = /^vec([234])([fhiu]?)$/.exec(name);
    if (vector) return vectorOf(vector[2] ? scalar(SHORT[vector[2]]) : only(), Number(vector[1]));
    const matrix = /^mat([234])x([234])([fh]?)$/.exec(name);
    if (matrix) {
      const column = vectorOf(matrix[3] ? scalar(SHORT[matrix[3]]) : only(), Number(matrix[2]));
      const all = arrayOf(column, Number(matrix[1]), e);
      return { ...all, name: `mat${matrix[1]}x${matrix[2]}<${column.scalar}>` };
    }
    if (name === "atomic") {
      const of = only();
      return { ...of, name: `atomic<${of.name}>` };
    }
    if (name === "array") {
      if (args.length < 1 || args.length > 2) {
        throw new WgslFault(
          '"array" needs the type of its elements, and its count where that is fixed',
          e.at,
          5,
        );
      }
      const count = args[1] && this.#constants.integer(args[1], "an array's count", 1, 0xffffffff);
      return arrayOf(this.of(args[0]), count ?? 0, e);
    }
    throw new WgslFault(
      OPAQUE.test(name)
        ? `"${name}" is not a type that a buffer can hold`
        : `no definition in scope for identifier "${name}"`, // as naga has it
      e.at,
      name.length,
    );
  }

  #struct(name: string): TypeLayout {
    let [end, align, packed] = [0, 1, 0];
    const given = this.#module.byName.get(name)!;
    const members = given.members.map((m) => {
      const type = this.of(m.type);
      const own = this.#attribute(m.attributes, "align") ?? type.align;
      const offset = roundUp(end, own);
      [end, align, packed] = [
        offset + (this.#attribute(m.attributes, "size") ?? type.size),
        Math.max(align, own),
        packed + type.packed,
      ];
      return { name: m.name, offset, type };
    });
    const size = roundUp(end, align);
    if (size > Number.MAX_SAFE_INTEGER) throw new WgslFault("the type is too large", given.at, name.length);
    return { name, size, align, packed, members };
  }

  #attribute(attributes: Attributes, name: string): number | undefined {
    const [value] = attributes.get(name) ?? [];
    return value && this.#constants.integer(value, `@${name}`, 1, 0x7fffffff);
  }
}

// ---------------------------------------------------------------------------

const DEEPEST = 200;
const SCALARS: Record<string, number> = { f32: 4, i32: 4, u32: 4, f16: 2, bool: 4 };
const OPAQUE = /^(ptr|sampler|texture_|binding_array)/;
const SHORT: Record<string, string> = { f: "f32", h: "f16", i: "i32", u: "u32" };

function scalar(name: string): TypeLayout {
  const size = SCALARS[name];
  return { name, size, align: size, packed: size, scalar: name };
}

function vectorOf(of: TypeLayout, count: number): TypeLayout {
  const size = of.size * count;
  const align = of.size * (count === 3 ? 4 : count);
  return { name: `vec${count}<${of.name}>`, size, align, packed: size, scalar: of.scalar };
}

function arrayOf(element: TypeLayout, count: number, e: Expression): TypeLayout {
  const stride = roundUp(element.size, element.align);
  const size = stride * Math.max(1, count);
  if (size > Number.MAX_SAFE_INTEGER) throw new WgslFault("the type is too large", e.at);
  return {
    name: `array<${element.name}${count ? `, ${count}` : ""}>`,
    size,
    align: element.align,
    packed: element.packed * Math.max(1, count),
    scalar: element.scalar,
    element,
    count,
    stride,
  };
}

function roundUp(n: number, to: number): number {
  return Math.ceil(n / to) * to;
}
