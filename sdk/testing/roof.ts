import { checkArgument } from "../arguments.ts";
import { dispatch, type Gpu, internalsOf, shader } from "../gpu/mod.ts";
import { scope, Tensor } from "../tensor/mod.ts";
import { timeSides, type TimingOptions } from "./timing.ts";

/** The most that an adapter does, measured: what a kernel's speed is held against (Williams et al. 2009). */
export interface Roof {
  /** Bytes read and written by a copy, in GB/s. */
  readonly copy: number;
  /** Multiply-adds in f32 without memory, two operations each, in GFLOP/s. */
  readonly fma: number;
}

const COPY_BYTES = 16 * 1024 * 1024;
const FMA_THREADS = 16384;
const FMA_STEPS = 256;

/**
 * Measures an adapter's roof with two probes.
 *
 * @example
 * ```ts
 * import { openGpu } from "@kernelwright/sdk";
 * import { measureRoof } from "@kernelwright/sdk/testing";
 *
 * const { copy, fma } = await measureRoof(await openGpu(), { rounds: 1, train: 10 });
 * console.log(`${copy.toFixed(1)} GB/s, ${fma.toFixed(1)} GFLOP/s`);
 * ```
 */
export async function measureRoof(gpu: Gpu, options: TimingOptions = {}): Promise<Roof> {
  const opened = internalsOf(gpu, "measureRoof(): gpu");
  checkArgument("measureRoof(): options", options, "an object");
  const elements = COPY_BYTES / 4;
  const x = Tensor.zeros([elements]);
  const out = Tensor.empty([elements]);
  const sums = Tensor.empty([FMA_THREADS * 4]);
  const [copy, fma] = await timeSides(opened, [
    {
      name: "copy",
      call: () => scope(() => dispatch(copyShader, { x, out }, { workgroups: elements / 4 / 256 })),
    },
    {
      name: "fma",
      call: () => scope(() => dispatch(fmaShader, { out: sums }, { workgroups: FMA_THREADS / 64 })),
    },
  ], options);
  for (const t of [x, out, sums]) t.dispose();
  return {
    copy: 2 * COPY_BYTES / copy.median / 1e6,
    fma: FMA_THREADS * FMA_STEPS * 4 * 4 * 2 / fma.median / 1e6,
  };
}

// ---------------------------------------------------------------------------

const copyShader = shader({
  name: "roof_copy.wgsl",
  code: `
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;
@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3u) { out[id.x] = x[id.x]; }`,
});

// Four independent chains of vec4: enough to hide the latency of one.
const fmaShader = shader({
  name: "roof_fma.wgsl",
  code: `
@group(0) @binding(0) var<storage, read_write> out: array<vec4f>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let m = vec4f(1.0 + f32(id.x) * 1e-9);
  var a = vec4f(0.1); var b = vec4f(0.2); var c = vec4f(0.3); var d = vec4f(0.4);
  for (var i = 0; i < ${FMA_STEPS}; i++) {
    a = fma(a, m, b); b = fma(b, m, c); c = fma(c, m, d); d = fma(d, m, a);
  }
  out[id.x] = a + b + c + d;
}`,
});
