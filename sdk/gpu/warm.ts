/**
 * Has the driver compile: it does so at a pipeline's first dispatch, which is then hundreds of times as slow as the
 * others. Here each pipeline runs one workgroup on buffers that nobody needs. Its uniforms are those of a real
 * dispatch, so that its loops end as they do there; what it reads or writes past the small buffers is cut off, as
 * WebGPU promises.
 */
import { checkArgument, checkFields } from "../arguments.ts";
import { inContext, type Where } from "../errors.ts";
import { currentGpu } from "./device.ts";
import type { CompiledPipeline, PipelineRequest } from "./stream/pipeline.ts";

/** A pipeline that will be needed, with the uniforms of one of its dispatches. */
export interface PipelineUse {
  /** The pipeline. */
  readonly request: PipelineRequest;
  /** Packed uniforms. */
  readonly packed: Uint32Array<ArrayBuffer>;
  /** What needs it, for errors. */
  readonly where: Where;
}

/** Bytes of the buffers that a pipeline is tried on, unless it declares larger ones. */
const SMALL = 1024;

/** How long to go on before other work, such as loading, gets a turn. */
const TURN_MS = 10;

/**
 * Compiles pipelines and runs each once. Those that have run before are left alone.
 *
 * @param check Asked before each: what it throws ends the work.
 * @returns How many were new.
 * @throws KW-SHADER-COMPILE for the first that does not compile.
 */
export async function warmPipelines(
  uses: readonly PipelineUse[],
  check: () => void = () => {},
): Promise<number> {
  checkArgument("warmPipelines(): uses", uses, "objects in an array");
  uses.forEach((use, i) => {
    checkFields(`warmPipelines(): uses[${i}]`, use, { request: "an object" });
    checkFields(`warmPipelines(): uses[${i}].request`, use.request, {
      variant: "an object",
      constants: "an object",
    });
  });
  const gpu = currentGpu();
  const made: CompiledPipeline[] = [];
  let turn = performance.now();
  for (const { request, packed, where } of uses) {
    check();
    const compiled = inContext(where, () => gpu.pipelines.get(request));
    if (compiled.warm) continue;
    made.push(compiled);
    const { storage } = request.variant.reflection;
    const buffers = storage.map((s) => gpu.pool.acquire(Math.max(SMALL, s.least, s.stride)));
    const sizes = buffers.map((b) => b.size);
    const ring = gpu.stream.uniforms.buffer;
    gpu.stream.dispatch({
      compiled,
      variant: request.variant,
      groups: gpu.pipelines.makeBindGroups(compiled, request.variant, buffers, sizes, ring),
      packed,
      workgroups: [1, 1, 1],
      buffers,
      sizes,
    });
    for (const b of buffers) gpu.pool.release(b);
    gpu.stream.submit();
    if (performance.now() - turn < TURN_MS) continue;
    await new Promise((resolve) => setTimeout(resolve, 0));
    turn = performance.now();
  }
  if (made.length > 0) {
    await gpu.pipelines.compiled(made);
    await gpu.idle();
  }
  return made.length;
}
