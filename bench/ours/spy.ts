/**
 * Writes down the WebGPU calls of a run, so that they can be made again by a plain loop: what a model costs when
 * nothing of the SDK runs.
 */

type Call = (state: Open) => void;

interface Open {
  readonly encoder: GPUCommandEncoder;
  pass?: GPUComputePassEncoder;
}

/** Runs `fn` and returns a function that makes the same dispatches and copies on an encoder. */
export function spy(fn: () => void): (encoder: GPUCommandEncoder) => void {
  const calls: Call[] = [];
  const undo: (() => void)[] = [];
  // deno-lint-ignore no-explicit-any -- the methods differ
  const watch = (proto: any, name: string, note: (args: any[]) => Call) => {
    const real = proto[name];
    // deno-lint-ignore no-explicit-any
    proto[name] = function (...args: any[]) {
      calls.push(note(args));
      return real.apply(this, args);
    };
    undo.push(() => proto[name] = real);
  };
  watch(GPUCommandEncoder.prototype, "beginComputePass", () => (s) => s.pass = s.encoder.beginComputePass());
  watch(GPUComputePassEncoder.prototype, "end", () => (s) => s.pass!.end());
  watch(GPUComputePassEncoder.prototype, "setPipeline", ([p]) => (s) => s.pass!.setPipeline(p));
  watch(GPUComputePassEncoder.prototype, "setBindGroup", ([i, g, offsets]) => {
    const kept = offsets ? [...offsets] : undefined;
    return kept ? (s) => s.pass!.setBindGroup(i, g, kept) : (s) => s.pass!.setBindGroup(i, g);
  });
  watch(
    GPUComputePassEncoder.prototype,
    "dispatchWorkgroups",
    ([x, y, z]) => (s) => s.pass!.dispatchWorkgroups(x, y, z),
  );
  watch(
    GPUCommandEncoder.prototype,
    "copyBufferToBuffer",
    ([a, i, b, j, n]) => (s) => s.encoder.copyBufferToBuffer(a, i, b, j, n),
  );
  try {
    fn();
  } finally {
    for (const back of undo) back();
  }
  return (encoder) => {
    const state: Open = { encoder };
    for (const call of calls) call(state);
  };
}
