import { showValue } from "../../arguments.ts";
import { didYouMean, raise } from "../../errors.ts";
import type { UniformBinding, UniformField } from "./reflect.ts";

/** A uniform's fields by name: a number each, or the numbers of a vector, matrix or array in order. */
export type UniformValues = Readonly<Record<string, number | readonly number[]>>;

/**
 * Packs a uniform's fields at the offsets of its WGSL struct.
 *
 * @param given A struct's fields, or for a uniform that is no struct the number or numbers themselves.
 * @param into Where to; the struct begins at `u.at`. Padding keeps what it held.
 * @throws KW-DISPATCH-UNIFORM
 */
export function packUniform(
  u: UniformBinding,
  given: UniformValues | number | readonly number[],
  file: string,
  into: DataView,
): void {
  const bare = u.fields.length === 1 && u.fields[0].name === "";
  if (given === null || typeof given !== "object" && !(bare && typeof given === "number")) {
    raise(
      "KW-DISPATCH-UNIFORM",
      `The uniform "${u.name}" takes ${bare ? "numbers" : "an object of its fields"}, and got ${
        String(given)
      }`,
      undefined,
      { file },
    );
  }
  const values: UniformValues = bare ? { "": given as number | number[] } : given as UniformValues;
  if (typeof values !== "object" || values === null) {
    refuseValue(u, u.name, "an object of its fields", values, file);
  }
  for (const field of u.fields) {
    const value = values[field.name];
    if (value === undefined) {
      raise(
        "KW-DISPATCH-UNIFORM",
        `The uniform field "${pathOf(u, field)}" has no value`,
        `Fields: ${names(u).join(", ")}.`,
        { file },
      );
    }
    const length = typeof value === "number" ? 1 : value?.length;
    if (typeof length !== "number" || typeof value === "string") {
      refuseValue(
        u,
        pathOf(u, field),
        field.lanes.length === 1 ? "a number" : "numbers in an array",
        value,
        file,
      );
    }
    if (length !== field.lanes.length) {
      raise(
        "KW-DISPATCH-UNIFORM",
        `The uniform field "${pathOf(u, field)}" takes ${field.lanes.length} numbers, and got ${length}`,
        undefined,
        { file },
      );
    }
    for (let i = 0; i < length; i++) {
      const at = u.at + field.offset + field.lanes[i];
      write(into, at, u, field, typeof value === "number" ? value : value[i], file);
    }
  }
  if (bare) return;
  let count = 0;
  for (const _ in values) count++;
  if (count > u.fields.length) refuseExtra(u, values, file); // every field was found, so these are more
}

// ---------------------------------------------------------------------------

function names(u: UniformBinding): string[] {
  return u.fields.map((f) => f.name);
}

function pathOf(u: UniformBinding, field: UniformField): string {
  return field.name === "" ? u.name : `${u.name}.${field.name}`;
}

function refuseValue(u: UniformBinding, path: string, wanted: string, got: unknown, file: string): never {
  raise(
    "KW-DISPATCH-UNIFORM",
    `The uniform ${u.name === path ? "" : "field "}"${path}" takes ${wanted}, and got ${showValue(got)}`,
    undefined,
    { file },
  );
}

function refuseExtra(u: UniformBinding, values: UniformValues, file: string): never {
  const known = names(u);
  const extra = Object.keys(values).find((name) => !known.includes(name))!;
  raise("KW-DISPATCH-UNIFORM", `The uniform "${u.name}" has no field "${extra}"`, didYouMean(extra, known), {
    file,
  });
}

function refuse(u: UniformBinding, field: UniformField, value: unknown, file: string): never {
  raise(
    "KW-DISPATCH-UNIFORM",
    `The uniform field "${pathOf(u, field)}" is ${field.scalar}, and got ${String(value)}`,
    undefined,
    { file },
  );
}

function write(
  view: DataView,
  offset: number,
  u: UniformBinding,
  field: UniformField,
  value: number,
  file: string,
): void {
  const { scalar } = field;
  if (scalar === "f32" && typeof value === "number") {
    view.setFloat32(offset, value, true);
    if (Number.isFinite(value) && !Number.isFinite(view.getFloat32(offset, true))) {
      refuse(u, field, value, file);
    }
    return;
  }
  const fits = scalar === "u32"
    ? Number.isInteger(value) && value >= 0 && value <= 0xffffffff
    : Number.isInteger(value) && value >= -0x80000000 && value <= 0x7fffffff;
  if (!fits) refuse(u, field, value, file);
  if (scalar === "u32") view.setUint32(offset, value, true);
  else view.setInt32(offset, value, true);
}
