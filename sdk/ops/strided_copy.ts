/**
 * One copy for everything that moves elements without computing: transpose, permute, slice, concat, and the
 * conversions of checkpoints. Bits are moved, never numbers.
 *
 *   region ──► collapse dimensions ──► long runs on 4-byte boundaries? ──yes──► the queue's buffer copy
 *                                  └─► pairs of f16 that stay together? ──yes──► copied as 32-bit words
 *                                                                       └─no──► words put together bit by bit
 *
 * @module
 */
import { raise } from "../errors.ts";
import { dispatch, type GpuStorage, shader, workgroups } from "../gpu/mod.ts";
import { currentTracer, DTYPES, referenceValues, Tensor } from "../tensor/mod.ts";
import { checkSameDType, shapeError } from "./checks.ts";
import { eight } from "./dispatch/around.ts";
import { inPlaceOperator } from "./operator.ts";
import { checkRegion, collapseRegion, type RegionDim, type StridedRegion } from "./strided_region.ts";
import narrowCode from "./wgsl/strided_copy_narrow.wgsl" with { type: "text" };
import wordCode from "./wgsl/strided_copy.wgsl" with { type: "text" };

export type { StridedRegion, StridedSide } from "./strided_region.ts";

const wordShader = shader({ name: "strided_copy.wgsl", code: wordCode });
const narrowShader = shader({ name: "strided_copy_narrow.wgsl", code: narrowCode });

/** A buffer copy ends the compute pass, so many short ones cost more than one dispatch. */
const [MOST_COPIES, SHORTEST_COPY] = [64, 64 * 1024];

/**
 * Copies a region of `source` into a region of `target`, bit by bit, for every dtype.
 *
 * @param target Changed where the region lies; the rest keeps its values.
 * @param source A tensor of the same dtype, in other memory than `target`.
 * @param region Shape, offsets and strides in elements; up to 8 dimensions.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE, KW-DISPATCH-ALIAS
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { stridedCopy } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using target = Tensor.zeros([4]), source = Tensor.from([1, 2]);
 * const [from, to] = [{ offset: 0, strides: [1] }, { offset: 1, strides: [2] }];
 * stridedCopy(target, source, { shape: [2], source: from, target: to });
 * assertEquals([...await target.data()], [0, 1, 0, 2]);
 * ```
 */
export const stridedCopy: (target: Tensor, source: Tensor, region: StridedRegion) => void = inPlaceOperator<
  [target: Tensor, source: Tensor, region: StridedRegion]
>({
  name: "stridedCopy",
  check: (target, source, region) => {
    checkSameDType("run stridedCopy", target, source);
    checkRegion(target, source, region);
    if (target.storage === source.storage) {
      raise(
        "KW-DISPATCH-ALIAS",
        `Cannot run stridedCopy: target and source are the same memory, ${target.describe()}`,
        "Copy to a tensor of its own: Tensor.empty(…).",
      );
    }
  },
  webgpu: (target, source, region) => {
    if (region.shape.includes(0)) return;
    const dims = collapseRegion(region);
    const place: Placed = { target, source, dims, from: region.source.offset, to: region.target.offset };
    if (!copyRuns(place)) copyElements(place);
  },
  reference: (target, source, region) => copyValues(referenceValues(target), referenceValues(source), region),
});

/** The same on float64 values: the reference leg of everything built on a strided copy. */
export function copyValues(target: Float64Array, source: Float64Array, region: StridedRegion): void {
  const walk = (dim: number, from: number, to: number) => {
    if (dim === region.shape.length) {
      target[to] = source[from];
      return;
    }
    for (let i = 0; i < region.shape[dim]; i++) {
      walk(dim + 1, from + i * region.source.strides[dim], to + i * region.target.strides[dim]);
    }
  };
  walk(0, region.source.offset, region.target.offset);
}

// ---------------------------------------------------------------------------

interface Placed {
  readonly target: Tensor;
  readonly source: Tensor;
  readonly dims: readonly RegionDim[];
  readonly from: number;
  readonly to: number;
}

/** Copies with the queue where the region is few long runs on 4-byte boundaries; tells whether it did. */
function copyRuns({ target, source, dims, from, to }: Placed): boolean {
  const size = DTYPES[target.dtype].bytes;
  const last = dims.at(-1);
  const contiguous = last === undefined || (last.source === 1 && last.target === 1);
  if (!contiguous) return false;
  const outer = dims.slice(0, -1);
  const length = last?.size ?? 1;
  const runs = outer.reduce((n, d) => n * d.size, 1);
  // The bytes behind a tensor's end, up to a multiple of 4, are nobody's.
  const toEnd = runs === 1 && to + length === target.size;
  const bytes = toEnd ? Math.ceil(length * size / 4) * 4 : length * size;
  if (runs > 1 && (runs > MOST_COPIES || bytes < SHORTEST_COPY)) return false;
  const aligned = [from, to, ...outer.flatMap((d) => [d.source, d.target])].every((n) => n * size % 4 === 0);
  if (!aligned || bytes % 4 !== 0) return false;
  const [s, t] = [source.storage as GpuStorage, target.storage as GpuStorage];
  if (currentTracer()) return true; // the queue needs no pipeline
  const { stream } = t.backend.gpu;
  if (bytes > length * size) t.backend.guard?.wholeWords(t);
  for (let run = 0; run < runs; run++) {
    let [rest, f, g] = [run, from, to];
    for (const d of outer.toReversed()) {
      f += rest % d.size * d.source;
      g += rest % d.size * d.target;
      rest = Math.floor(rest / d.size);
    }
    stream.copy(s.buffer, f * size, t.buffer, g * size, bytes);
  }
  return true;
}

function copyElements({ target, source, dims, from, to }: Placed): void {
  const bytes = DTYPES[target.dtype].bytes;
  const [out, words] = [asWords(target), asWords(source)];
  const wide = inWords({ dims, from, to }, 4 / bytes);
  if (wide) {
    dispatch(wordShader, {
      source: words,
      out,
      params: {
        count: wide.dims.reduce((n, d) => n * d.size, 1),
        source_offset: wide.from,
        target_offset: wide.to,
        ...dimParams(wide.dims),
      },
    }, { workgroups: workgroups(wide.dims.reduce((n, d) => n * d.size, 1)) });
  } else {
    const perWord = 4 / bytes;
    // Where the target's innermost stride is not 1, every element is a run of its own.
    const last = dims.at(-1);
    const run = last?.target === 1 ? last : { size: 1, source: 0, target: 1 };
    const outer = last?.target === 1 ? dims.slice(0, -1) : dims;
    const runs = outer.reduce((n, d) => n * d.size, 1);
    const touched = Math.ceil((run.size + perWord - 1) / perWord);
    dispatch(narrowShader, {
      source: words,
      out,
      params: {
        runs,
        length: run.size,
        words: touched,
        step: run.source,
        source_offset: from,
        target_offset: to,
        ...dimParams(outer),
      },
    }, { workgroups: workgroups(runs * touched), constants: { BYTES: bytes } });
  }
  out.dispose();
  words.dispose();
}

/** The region in units of words, where no word is shared: everything is a multiple of `perWord`. */
function inWords(
  { dims, from, to }: Pick<Placed, "dims" | "from" | "to">,
  perWord: number,
): Pick<Placed, "dims" | "from" | "to"> | undefined {
  if (perWord === 1) return { dims, from, to };
  const last = dims.at(-1);
  if (!last || last.source !== 1 || last.target !== 1) return undefined;
  const outer = dims.slice(0, -1);
  const numbers = [from, to, last.size, ...outer.flatMap((d) => [d.source, d.target])];
  if (!numbers.every((n) => n % perWord === 0)) return undefined;
  return {
    dims: [
      ...outer.map((d) => ({ size: d.size, source: d.source / perWord, target: d.target / perWord })),
      { size: last.size / perWord, source: 1, target: 1 },
    ],
    from: from / perWord,
    to: to / perWord,
  };
}

function dimParams(dims: readonly RegionDim[]) {
  if (dims.length > 8) shapeError("run stridedCopy", `${dims.length} dimensions`);
  return {
    rank: dims.length,
    shape: eight(dims.map((d) => d.size)),
    source_strides: eight(dims.map((d) => d.source)),
    target_strides: eight(dims.map((d) => d.target)),
  };
}

/** The same memory as u32 words, whatever the dtype; the caller disposes it. */
function asWords(t: Tensor): Tensor {
  const shape = [Math.ceil(t.size * DTYPES[t.dtype].bytes / 4)];
  return new Tensor({ shape, dtype: "u32" }, t.storage.retain());
}
