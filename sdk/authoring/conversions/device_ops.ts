// Until the operators are there: conversions run on the reference device only.
import { raise } from "../../errors.ts";
import { type DType, referenceValues, Tensor } from "../../tensor/mod.ts";
import type { Region } from "./region.ts";

/** Copies a block. */
export function stridedCopy(target: Tensor, source: Tensor, { shape, source: s, target: t }: Region): void {
  onlyReference(target);
  const [to, from] = [referenceValues(target), referenceValues(source)];
  const walk = (d: number, a: number, b: number) => {
    if (d === shape.length) to[b] = from[a];
    else for (let i = 0; i < shape[d]; i++) walk(d + 1, a + i * s.strides[d], b + i * t.strides[d]);
  };
  walk(0, s.offset, t.offset);
}

/** Converts the values. */
export function cast(x: Tensor, dtype: DType): Tensor {
  onlyReference(x);
  return Tensor.from(dtype === "f16" ? referenceValues(x).map(Math.f16round) : referenceValues(x).slice(), {
    shape: x.shape,
    dtype,
    device: x.device,
  });
}

function onlyReference(t: Tensor): void {
  if (t.device !== "reference") {
    raise("KW-TENSOR-DEVICE", `Cannot convert ${t.describe()} on ${JSON.stringify(t.device)} yet`);
  }
}
