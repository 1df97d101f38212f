import { dispatch, shader, workgroups } from "../gpu/mod.ts";
import { broadcastShapes, referenceValues, type Shape, stridesOf, type Tensor } from "../tensor/mod.ts";
import { checkSameDType, shapeError } from "./checks.ts";
import { eight } from "./dispatch/around.ts";
import { checkDType, FLOATS, operator } from "./operator.ts";
import code from "./wgsl/binary.wgsl" with { type: "text" };

const binaryShader = shader({ name: "binary.wgsl", code });

/** An element-wise operator of two tensors; `id` is its case in binary.wgsl, `f` its formula in float64. */
function binary(
  name: string,
  id: number,
  f: (a: number, b: number) => number,
): (a: Tensor, b: Tensor) => Tensor {
  return operator<[a: Tensor, b: Tensor]>({
    name,
    infer: (a, b) => {
      checkDType(`run ${name}`, a, FLOATS);
      checkSameDType(`run ${name}`, a, b);
      return { shape: broadcastShapes(a.shape, b.shape, `run ${name}`), dtype: a.dtype };
    },
    webgpu: (out, a, b) => {
      const dims = collapse(
        out.shape,
        broadcastStrides(a.shape, out.shape),
        broadcastStrides(b.shape, out.shape),
      );
      if (dims.shape.length > 8) shapeError(`run ${name}`, "more than 8 dimensions that do not merge");
      dispatch(binaryShader, {
        a,
        b,
        out,
        params: {
          count: out.size,
          rank: dims.shape.length,
          shape: eight(dims.shape),
          a: eight(dims.a),
          b: eight(dims.b),
        },
      }, { workgroups: workgroups(out.size), constants: { OP: id }, types: { T: out.dtype } });
    },
    reference: (out, a, b) => {
      const shape = broadcastShapes(a.shape, b.shape, name);
      const [va, vb] = [referenceValues(a), referenceValues(b)];
      const [sa, sb] = [broadcastStrides(a.shape, shape), broadcastStrides(b.shape, shape)];
      for (let i = 0; i < out.length; i++) out[i] = f(va[offsetOf(i, shape, sa)], vb[offsetOf(i, shape, sb)]);
    },
  });
}

/**
 * `a + b`; sizes of 1 stretch, aligned at the last dimension.
 *
 * @param a f32 or f16. @param b The same dtype, of a shape that broadcasts with that of `a`.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { add } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using a = Tensor.from([[1, 2], [3, 4]]), b = Tensor.from([10, 20]), out = add(a, b);
 * assertEquals([...await out.data()], [11, 22, 13, 24]);
 * ```
 */
export const add: (a: Tensor, b: Tensor) => Tensor = binary("add", 0, (a, b) => a + b);

/**
 * `a - b`; sizes of 1 stretch, aligned at the last dimension.
 *
 * @param a f32 or f16. @param b The same dtype, of a shape that broadcasts with that of `a`.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { sub } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using a = Tensor.from([5, 7]), b = Tensor.from([1, 10]), out = sub(a, b);
 * assertEquals([...await out.data()], [4, -3]);
 * ```
 */
export const sub: (a: Tensor, b: Tensor) => Tensor = binary("sub", 1, (a, b) => a - b);

/**
 * `a · b`, element by element; sizes of 1 stretch, aligned at the last dimension.
 *
 * @param a f32 or f16. @param b The same dtype, of a shape that broadcasts with that of `a`.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { mul } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using a = Tensor.from([2, 3]), b = Tensor.from([10, 20]), out = mul(a, b);
 * assertEquals([...await out.data()], [20, 60]);
 * ```
 */
export const mul: (a: Tensor, b: Tensor) => Tensor = binary("mul", 2, (a, b) => a * b);

/**
 * `a / b`, element by element; sizes of 1 stretch, aligned at the last dimension.
 *
 * @param a f32 or f16. @param b The same dtype, of a shape that broadcasts with that of `a`.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { div } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using a = Tensor.from([8, 6]), b = Tensor.from([2, 4]), out = div(a, b);
 * assertEquals([...await out.data()], [4, 1.5]);
 * ```
 */
export const div: (a: Tensor, b: Tensor) => Tensor = binary("div", 3, (a, b) => a / b);

/** Strides that walk a tensor of `shape` as if it had the shape `target`: 0 where it is stretched. */
export function broadcastStrides(shape: Shape, target: Shape): number[] {
  const own = stridesOf(shape);
  const missing = target.length - shape.length;
  return target.map((_, d) => d < missing || shape[d - missing] === 1 ? 0 : own[d - missing]);
}

/** Where the `i`-th element of `shape`, in row-major order, lies under the given strides. */
export function offsetOf(i: number, shape: Shape, strides: readonly number[]): number {
  let offset = 0;
  for (let d = shape.length - 1; d >= 0; d--) {
    offset += (i % shape[d]) * strides[d];
    i = Math.floor(i / shape[d]);
  }
  return offset;
}

// ---------------------------------------------------------------------------

/** Merges neighbouring dimensions that both operands walk as one; two equal shapes become one dimension. */
function collapse(
  shape: Shape,
  a: readonly number[],
  b: readonly number[],
): { shape: number[]; a: number[]; b: number[] } {
  const out = { shape: [] as number[], a: [] as number[], b: [] as number[] };
  shape.forEach((size, d) => {
    if (size === 1) return;
    const last = out.shape.length - 1;
    if (last >= 0 && out.a[last] === size * a[d] && out.b[last] === size * b[d]) {
      out.shape[last] *= size;
      [out.a[last], out.b[last]] = [a[d], b[d]];
    } else {
      out.shape.push(size);
      out.a.push(a[d]);
      out.b.push(b[d]);
    }
  });
  return out;
}
