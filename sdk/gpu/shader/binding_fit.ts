import { raise } from "../../errors.ts";
import { DTYPES, formatSpec, type Tensor } from "../../tensor/mod.ts";
import type { StorageBinding } from "./reflect.ts";

/**
 * Does nothing where a tensor's bytes are what a binding's elements are made of.
 *
 * @param file The shader's name.
 * @throws KW-DISPATCH-DTYPE, KW-DISPATCH-SIZE
 */
export function checkFit(s: StorageBinding, t: Tensor, file: string): void {
  const { bytes: each, wgsl } = DTYPES[t.dtype];
  if (s.scalar && !wgsl.includes(s.scalar)) {
    raise(
      "KW-DISPATCH-DTYPE",
      `The binding "${s.name}" is array<${s.element}>, and got ${formatSpec(t)}`,
      `Give a tensor whose elements are ${s.scalar}, or declare the binding with an alias and pass types.`,
      { file, tensor: s.name },
    );
  }
  const bytes = t.size * each;
  if (s.stride > 4 && (bytes - s.header) % s.stride !== 0) {
    refuse(
      s,
      t,
      file,
      s.header > 0
        ? `has ${s.header} bytes and then elements of ${s.stride} bytes (${s.element})`
        : `has elements of ${s.stride} bytes (${s.element})`,
      "Pad the tensor, or write a variant of the shader that takes single elements.",
    );
  }
  if (bytes < s.least) {
    refuse(
      s,
      t,
      file,
      s.header > 0
        ? `has ${s.header} bytes and then at least one ${s.element}, ${s.least} bytes together`
        : `has ${s.count} elements, ${s.least} bytes`,
    );
  }
  if (s.holes.length > 0 && !leavesHoles(s, t, each)) {
    const [{ stride, packed }] = s.holes;
    const row = stride / each;
    refuse(
      s,
      t,
      file,
      `has elements of ${stride} bytes (${s.element}), of which ${packed} are numbers`,
      Number.isInteger(row)
        ? `Give rows of ${row}, as the shader steps from element to element: [n, ${row}]. Or declare the binding as an array of numbers.`
        : undefined,
    );
  }
}

// ---------------------------------------------------------------------------

function refuse(s: StorageBinding, t: Tensor, file: string, what: string, fix?: string): never {
  const bytes = t.size * DTYPES[t.dtype].bytes;
  const said = `The binding "${s.name}" ${what}, and got ${formatSpec(t)}, ${bytes} bytes`;
  raise("KW-DISPATCH-SIZE", said, fix, { file, tensor: s.name });
}

/**
 * Whether a tensor's rows are spread as elements with holes are: rows of four for a vec3. Many rows of three may well
 * fill whole elements together, and would be read in the wrong places. A flat tensor does not tell its rows: it is
 * taken where it cannot be made of rows without holes. For structs, a flat tensor is their bytes, laid out by its maker.
 */
function leavesHoles(s: StorageBinding, t: Tensor, each: number): boolean {
  const flat = t.shape.length < 2;
  if (flat && s.scalar === undefined) return true;
  const row = (t.shape.at(-1) ?? 1) * each;
  const [outer] = s.holes;
  if (row !== outer.stride && row % outer.packed === 0) return false;
  return s.holes.some(({ stride, packed }) => row === stride || row % stride === 0 && row % packed !== 0);
}
