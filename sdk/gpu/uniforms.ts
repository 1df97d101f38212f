import { didYouMean, raise } from "../errors.ts";
import type { UniformBinding } from "./reflect.ts";

/** A uniform's fields by name: a number each, or the numbers of a vector, matrix or array in order. */
export type UniformValues = Readonly<Record<string, number | readonly number[]>>;

/**
 * Packs a uniform's fields at the offsets of its WGSL struct.
 *
 * @param given A struct's fields, or for a uniform that is no struct the number or numbers themselves.
 * @throws KW-DISPATCH-UNIFORM
 */
export function packUniform(
  u: UniformBinding,
  given: UniformValues | number | readonly number[],
  file: string,
): Uint8Array {
  const bytes = new Uint8Array(u.bytes);
  const view = new DataView(bytes.buffer);
  const bare = u.fields.length === 1 && u.fields[0].name === "";
  const values: UniformValues = bare ? { "": given as number | number[] } : given as UniformValues;
  for (const field of u.fields) {
    const value = values[field.name];
    const path = bare ? u.name : `${u.name}.${field.name}`;
    if (value === undefined) {
      raise(
        "KW-DISPATCH-UNIFORM",
        `The uniform field "${path}" has no value`,
        `Fields: ${names(u).join(", ")}.`,
        { file },
      );
    }
    const length = typeof value === "number" ? 1 : value.length;
    if (length !== field.lanes.length) {
      raise(
        "KW-DISPATCH-UNIFORM",
        `The uniform field "${path}" takes ${field.lanes.length} numbers, and got ${length}`,
        undefined,
        {
          file,
        },
      );
    }
    for (let i = 0; i < length; i++) {
      write(
        view,
        field.offset + field.lanes[i],
        field.scalar,
        typeof value === "number" ? value : value[i],
        path,
        file,
      );
    }
  }
  if (!bare) {
    for (const name in values) {
      if (!u.fields.some((f) => f.name === name)) {
        raise(
          "KW-DISPATCH-UNIFORM",
          `The uniform "${u.name}" has no field "${name}"`,
          didYouMean(name, names(u)),
          { file },
        );
      }
    }
  }
  return bytes;
}

// ---------------------------------------------------------------------------

function names(u: UniformBinding): string[] {
  return u.fields.map((f) => f.name);
}

function write(
  view: DataView,
  offset: number,
  scalar: string,
  value: number,
  path: string,
  file: string,
): void {
  if (scalar === "f32" && typeof value === "number") return view.setFloat32(offset, value, true);
  const fits = scalar === "u32"
    ? Number.isInteger(value) && value >= 0 && value <= 0xffffffff
    : Number.isInteger(value) && value >= -0x80000000 && value <= 0x7fffffff;
  if (!fits) {
    raise("KW-DISPATCH-UNIFORM", `The uniform field "${path}" is ${scalar}, and got ${value}`, undefined, {
      file,
    });
  }
  if (scalar === "u32") view.setUint32(offset, value, true);
  else view.setInt32(offset, value, true);
}
