import type { DType } from "../../tensor/mod.ts";

/** How a shader walks rows: by vectors of four, or by single elements where rows are not a multiple of four. */
export interface Vectorization {
  /** Elements loaded at once. */
  readonly width: 4 | 1;
  /** Aliases for the shader: `V` what is loaded at once, `A` the same in f32, `T` the element. */
  readonly types: Readonly<Record<"T" | "V" | "A", string>>;
}

/** The widest way to walk rows of `count` elements. */
export function vectorize(dtype: DType, count: number): Vectorization {
  return count % 4 === 0
    ? { width: 4, types: { T: dtype, V: `vec4<${dtype}>`, A: "vec4<f32>" } }
    : { width: 1, types: { T: dtype, V: dtype, A: "f32" } };
}
