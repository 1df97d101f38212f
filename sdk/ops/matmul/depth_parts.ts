/** Long sums in parts, for adapters that end long loops. */
import { dispatch, workgroups } from "../../gpu/mod.ts";
import { Tensor } from "../../tensor/mod.ts";
import { castShader } from "../cast.ts";
import { onSoftware } from "../dispatch/adapter.ts";

/** A part of the depth. */
export interface DepthPart {
  /** Where it begins; 0 for the first part, which overwrites what is in `out`. */
  readonly first: number;
  /** Where it ends. */
  readonly end: number;
  /** Where its sums go: the result, or an f32 tensor in place of an f16 one. */
  readonly out: Tensor;
}

/**
 * Runs a product whose invocations may walk `most` steps of the depth each: part by part where a software adapter
 * would not come to the end of it, at once elsewhere. Sums stay in f32 between the parts.
 *
 * @param most A multiple of four, so that only the last part has loads that are not whole.
 */
export function inDepthParts(
  out: Tensor,
  depth: number,
  most: number,
  run: (part: DepthPart) => void,
): void {
  if (depth <= most || !onSoftware()) return run({ first: 0, end: depth, out });
  using wide = out.dtype === "f16" ? Tensor.empty(out.shape, { device: out.device }) : undefined;
  for (let first = 0; first < depth; first += most) {
    run({ first, end: Math.min(depth, first + most), out: wide ?? out });
  }
  if (!wide) return;
  dispatch(castShader, { x: wide, out, count: out.size }, {
    workgroups: workgroups(out.size),
    types: { From: "f32", To: "f16" },
  });
}
