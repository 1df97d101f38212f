/**
 * What a site's modules write into their arguments, such as a cache: the kernel must leave there what they leave.
 *
 *   before ─► originals ─► after        put back to `before`, so that the kernel runs on what they ran on
 *      └────► kernel ────► its own      put back to `after`, with which the model goes on
 */
import { stridedCopy } from "../../ops/mod.ts";
import { keep, scope, Tensor } from "../../tensor/mod.ts";
import type { PlannedSite } from "../plan/plan.ts";
import { describePlace, writtenTensors } from "../plan/writes.ts";
import { compareValues, defaultTolerance, type Difference } from "./compare.ts";

/** The memory that a site's originals write, in one call. */
export class Written {
  readonly #parts: Part[] = [];

  /** Looks at the arguments before the originals run; undefined where they write nothing. */
  static of({ writes }: PlannedSite, args: readonly unknown[]): Written | undefined {
    const tensors = writes?.size ? writtenTensors(args, writes) : new Map<string, Tensor>();
    if (tensors.size === 0) return undefined;
    const written = new Written();
    for (const [place, tensor] of tensors) {
      if (tensor.device === "webgpu") written.#parts.push({ place, tensor, before: copyOf(tensor) });
    }
    return written;
  }

  /** Runs the kernel on what the originals ran on; afterwards the model has what they left. */
  during<T>(run: () => T): T {
    for (const part of this.#parts) {
      part.original = copyOf(part.tensor);
      put(part.before, part.tensor);
    }
    try {
      const result = run();
      for (const part of this.#parts) part.kernel = copyOf(part.tensor);
      return result;
    } finally {
      for (const part of this.#parts) put(part.original!, part.tensor);
    }
  }

  /** How far what the kernel left is from what the originals left. */
  async differences(options: { readonly rtol?: number; readonly atol?: number }): Promise<Difference[]> {
    const found: Difference[] = [];
    for (const { place, tensor: { dtype }, before, original, kernel } of this.#parts) {
      const [was, theirs, its] = [await before.data(), await original!.data(), await kernel!.data()];
      const usual = dtype === "i32" || dtype === "u32" ? { rtol: 0, atol: 0 } : defaultTolerance(dtype);
      const tolerance = { rtol: options.rtol ?? usual.rtol, atol: options.atol ?? usual.atol };
      const difference = compareValues(its, theirs, undefined, dtype, "real", tolerance);
      const what = describePlace(place);
      const left = its.every((v, i) => Object.is(v, was[i])) ? `does not write ${what}` : `writes ${what}`;
      found.push({ ...difference, written: left });
    }
    return found;
  }

  /** Bytes of the copies. */
  get tensors(): Tensor[] {
    return this.#parts.flatMap(({ before, original, kernel }) =>
      [before, original, kernel].filter((t) => t !== undefined)
    );
  }

  /** Releases the copies. */
  dispose(): void {
    for (const t of this.tensors) t.dispose();
  }
}

// ---------------------------------------------------------------------------

interface Part {
  readonly place: string;
  readonly tensor: Tensor;
  readonly before: Tensor;
  original?: Tensor;
  kernel?: Tensor;
}

function copyOf(t: Tensor): Tensor {
  const copy = keep(Tensor.empty(t.shape, { dtype: t.dtype, device: t.device }));
  put(t, copy);
  return copy;
}

function put(source: Tensor, target: Tensor): void {
  const side = { offset: 0, strides: [1] };
  scope(() => stridedCopy(target, source, { shape: [source.size], source: side, target: side }));
}
