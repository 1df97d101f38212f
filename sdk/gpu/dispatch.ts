import { ambient } from "../ambient.ts";
import { checkArgument, refuseArgument, showValue } from "../arguments.ts";
import { about, currentContext, didYouMean, KernelwrightError, raise, type Where } from "../errors.ts";
import { currentTracer, DTYPES, isGuarded, noteWrite, Tensor, writesAreGuarded } from "../tensor/mod.ts";
import { checkFit } from "./shader/binding_fit.ts";
import { GpuStorage } from "./device/backend.ts";
import { namedConstants } from "./shader/overrides.ts";
import type { PipelineRequest } from "./stream/pipeline.ts";
import type { GpuBuffer } from "./memory/buffer.ts";
import type { StorageBinding } from "./shader/reflect.ts";
import { Shader, type ShaderVariant } from "./shader/shader.ts";
import { packUniform, type UniformValues } from "./shader/uniforms.ts";
import { mayWrite } from "./shader/written.ts";

/** What a shader's bindings get, by the names of the WGSL variables. */
export type DispatchBindings = Readonly<Record<string, Tensor | UniformValues | number | readonly number[]>>;

/** How a shader is run. */
export interface DispatchOptions {
  /** Workgroup counts `[x, y, z]`; missing ones are 1. A zero means that nothing runs. */
  readonly workgroups: number | readonly [number, number?, number?];
  /** Values of overrides, on top of the shader's own; by name, or by number where the shader says `@id`. */
  readonly constants?: Readonly<Record<string, number>>;
  /** Type aliases: `{ T: "f16" }` puts `alias T = f16;` before the code. */
  readonly types?: Readonly<Record<string, string>>;
}

/**
 * Records one run of a shader. Nothing waits for the GPU.
 *
 * Tensors are bound by the names of the WGSL's storage variables, uniforms as plain objects. Everything that can
 * be known without running is checked here, on the meta device too: names, dtypes, sizes, access, aliasing, workgroup counts.
 * A shader's writes past the end of a tensor are its own business.
 *
 * @throws KW-DISPATCH-NAME, -DTYPE, -SIZE, -ALIAS, -UNIFORM, -WORKGROUPS, -DEVICE; KW-SHADER-CONSTANT, -ENTRY and
 * -BINDING; KW-SHADER-COMPILE where its declarations cannot be read. A driver's compile error comes at the next wait, or from `kernelize`.
 *
 * @example
 * ```ts
 * import { dispatch, openGpu, shader, Tensor } from "@kernelwright/sdk";
 * import { assertEquals } from "@std/assert";
 *
 * const code = `struct Params { factor: f32 }
 * @group(0) @binding(0) var<storage, read> x: array<f32>;
 * @group(0) @binding(1) var<storage, read_write> out: array<f32>;
 * @group(0) @binding(2) var<uniform> params: Params;
 * @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
 *   if (id.x < arrayLength(&x)) { out[id.x] = params.factor * x[id.x]; }
 * }`;
 * const times = shader({ name: "times.wgsl", code });
 * await openGpu();
 * using x = Tensor.from([1, 2, 3]), out = Tensor.empty(x.shape);
 * dispatch(times, { x, out, params: { factor: 10 } }, { workgroups: Math.ceil(x.size / 64) });
 * assertEquals([...await out.data()], [10, 20, 30]);
 * ```
 */
export function dispatch(shader: Shader, bindings: DispatchBindings, options: DispatchOptions): void {
  if (!(shader instanceof Shader)) refuseArgument("dispatch(): shader", shader, "what shader() gave");
  if (typeof bindings !== "object" || bindings === null) {
    refuseArgument("dispatch(): bindings", bindings, "an object");
  }
  if (typeof options !== "object" || options === null) {
    refuseArgument("dispatch(): options", options, "an object");
  }
  const variant = shader.variant(options.types);
  const constants = namedConstants(variant, options.constants);
  const workgroups = checkWorkgroups(options.workgroups, shader);
  const { storage, uniforms } = variant.reflection;
  // Plain loops from here on: this runs for every operator of every token.
  const tensors = new Array<Tensor>(storage.length);
  for (let i = 0; i < storage.length; i++) tensors[i] = tensorFor(storage[i], bindings, variant);
  checkAliases(variant, tensors);
  if (writesAreGuarded()) noteWrites(variant, tensors);
  if (variant.reflection.uniformBytes > packed.byteLength) growPacked(variant.reflection.uniformBytes);
  for (const u of uniforms) {
    const given = bindings[u.name];
    if (given === undefined || given instanceof Tensor) missing(u.name, "uniform", variant, bindings);
    packUniform(u, given, shader.name, packedView);
  }
  checkExtra(variant, bindings);

  const request: PipelineRequest = { variant, constants };
  const tracer = currentTracer();
  if (tracer) {
    collector.current?.collect(request, currentContext(), {
      packed: packed.slice(0, variant.reflection.uniformBytes / 4),
    });
    tracer.op(
      `dispatch ${shader.name}`,
      tensors.filter((_, i) => !writes(variant, i)),
      tensors.filter((_, i) => writes(variant, i)),
    );
    return;
  }
  const backend = checkDevices(variant, tensors);
  if (!backend || workgroups.includes(0)) return;
  const { gpu, guard } = backend;
  gpu.throwIfLost();
  checkCounts(workgroups, gpu.maxWorkgroups, shader);
  const compiled = gpu.pipelines.get(request);
  const buffers = new Array<GpuBuffer>(tensors.length);
  const sizes = new Array<number>(tensors.length);
  for (let i = 0; i < tensors.length; i++) {
    const t = tensors[i];
    const memory = t.storage as GpuStorage;
    const { buffer } = memory;
    // As exact as WebGPU allows, for arrayLength: whole words, and at least one element.
    const bytes = Math.ceil(t.size * DTYPES[t.dtype].bytes / 4) * 4;
    const exact = Math.min(buffer.size, Math.max(4, storage[i].stride, bytes));
    buffers[i] = buffer;
    sizes[i] = guard?.boundSize(memory, exact, variant, storage[i].name) ?? exact;
  }
  gpu.stream.dispatch({
    compiled,
    variant,
    groups: gpu.pipelines.bindGroups(compiled, variant, buffers, sizes),
    packed,
    workgroups,
    buffers,
    sizes,
  });
}

/** What else is known of a pipeline that a trace came by. */
export interface CollectedUse {
  /** The uniforms of the dispatch, packed as the reflection says. */
  readonly packed: Uint32Array<ArrayBuffer>;
}

/** Told of a pipeline, and of what needs it. */
export type Collect = (request: PipelineRequest, where: Where, use: CollectedUse) => void;

/**
 * While `fn` is traced, tells `collect` of every pipeline that it would need, and where.
 *
 * @param operators Whether those of the operators count too; otherwise kernels' own dispatches only.
 */
export function collectPipelines<T>(collect: Collect, fn: () => T, operators = false): T {
  checkArgument("collectPipelines(): collect", collect, "a function");
  checkArgument("collectPipelines(): fn", fn, "a function");
  return collector.run({ collect, operators }, fn);
}

/** Whether operators should show their dispatches while they are traced. */
export function collectsOperators(): boolean {
  return collector.current?.operators ?? false;
}

// ---------------------------------------------------------------------------

// One dispatch's uniforms; the stream copies them at once.
let packed = new Uint32Array(64);
let packedView = new DataView(packed.buffer);

function growPacked(bytes: number): void {
  packed = new Uint32Array(bytes / 4);
  packedView = new DataView(packed.buffer);
}

const collector = ambient<{ readonly collect: Collect; readonly operators: boolean } | undefined>(undefined);

function tensorFor(s: StorageBinding, bindings: DispatchBindings, variant: ShaderVariant): Tensor {
  const t = bindings[s.name];
  if (!(t instanceof Tensor)) return missing(s.name, "tensor", variant, bindings);
  checkFit(s, t, variant.shader.name);
  return t;
}

function missing(name: string, kind: string, variant: ShaderVariant, bindings: DispatchBindings): never {
  const got = bindings[name];
  const unknown = Object.keys(bindings).filter((k) => !allNames(variant).includes(k));
  raise(
    "KW-DISPATCH-NAME",
    got === undefined
      ? `The shader's binding "${name}" got no ${kind}`
      : `The binding "${name}" takes a ${kind}, and got something else`,
    unknown.length > 0 ? `Given, but not in the shader: ${unknown.join(", ")}.` : undefined,
    { file: variant.shader.name, tensor: name },
  );
}

function checkExtra(variant: ShaderVariant, bindings: DispatchBindings): void {
  const { storage, uniforms } = variant.reflection;
  let count = 0;
  for (const _ in bindings) count++;
  if (count === storage.length + uniforms.length) return; // all of these were found
  const names = allNames(variant);
  for (const name in bindings) {
    if (!names.includes(name)) {
      raise("KW-DISPATCH-NAME", `The shader has no binding "${name}"`, didYouMean(name, names), {
        file: variant.shader.name,
      });
    }
  }
}

function allNames(variant: ShaderVariant): string[] {
  return [...variant.reflection.storage, ...variant.reflection.uniforms].map((b) => b.name);
}

function checkAliases(variant: ShaderVariant, tensors: readonly Tensor[]): void {
  const { storage } = variant.reflection;
  for (let i = 0; i < tensors.length; i++) {
    if (!storage[i].writes) continue;
    const j = sharing(tensors, i);
    if (j < 0) continue;
    raise(
      "KW-DISPATCH-ALIAS",
      `"${storage[i].name}" and "${storage[j].name}" are the same memory, and the shader writes "${
        storage[i].name
      }"`,
      "Write to a tensor of its own: Tensor.empty(…).",
      { file: variant.shader.name },
    );
  }
}

function writes(variant: ShaderVariant, i: number): boolean {
  const { writes, name } = variant.reflection.storage[i];
  return writes && mayWrite(variant, name);
}

function noteWrites(variant: ShaderVariant, tensors: readonly Tensor[]): void {
  for (let i = 0; i < tensors.length; i++) {
    if (!variant.reflection.storage[i].writes) continue;
    const { storage } = tensors[i];
    if (isGuarded(storage) && writes(variant, i)) {
      noteWrite(storage, `${variant.shader.name} as "${variant.reflection.storage[i].name}"`);
    }
  }
}

/** Another tensor with the memory of the one at `i`, or -1. */
function sharing(tensors: readonly Tensor[], i: number): number {
  const { storage } = tensors[i];
  for (let k = 0; k < tensors.length; k++) if (k !== i && tensors[k].storage === storage) return k;
  return -1;
}

function checkDevices(variant: ShaderVariant, tensors: readonly Tensor[]): GpuStorage["backend"] | undefined {
  const first = tensors.length > 0 ? tensors[0].storage : undefined;
  if (first instanceof GpuStorage) { // as it nearly always is
    let alike = 0;
    for (const t of tensors) if (t.storage.backend === first.backend) alike++;
    if (alike === tensors.length) return first.backend;
  }
  const storages = tensors.map((t) => t.storage);
  if (storages.every((s) => s.backend.device === "meta")) return undefined;
  const odd = tensors.find((_, i) => !(storages[i] instanceof GpuStorage));
  if (odd) {
    const reference = odd.device === "reference";
    const error = new KernelwrightError({
      code: reference ? "KW-DISPATCH-DEVICE" : "KW-TENSOR-DEVICE",
      what: `Cannot dispatch: ${odd.describe()} is on the device "${odd.device}"`,
      fix: reference
        ? "Shaders run on webgpu only; the reference device runs the original modules."
        : "Load its values first.",
      where: { file: variant.shader.name, tensor: odd.name },
    });
    throw about(error, odd);
  }
  const { backend } = storages[0] as GpuStorage;
  const stale = tensors.find((t) => t.storage.backend !== backend);
  if (stale) {
    raise(
      "KW-TENSOR-DEVICE",
      `Cannot dispatch: ${tensors[0].describe()} and ${stale.describe()} are on different GPU devices`,
      "One of them was made before the device was opened again: make it again.",
      { file: variant.shader.name, tensor: stale.name },
    );
  }
  return backend;
}

function checkWorkgroups(given: DispatchOptions["workgroups"], shader: Shader): [number, number, number] {
  if (typeof given !== "number" && !Array.isArray(given)) {
    refuseArgument("dispatch(): workgroups", given, "a number or up to three in an array");
  }
  const [x, y = 1, z = 1] = typeof given === "number" ? [given] : given;
  for (const n of [x, y, z]) {
    if (!Number.isInteger(n) || n < 0) {
      raise(
        "KW-DISPATCH-WORKGROUPS",
        `Cannot dispatch [${[x, y, z].map(showValue).join(", ")}] workgroups`,
        "Give whole numbers that are not negative.",
        {
          file: shader.name,
        },
      );
    }
  }
  return [x, y, z];
}

function checkCounts(workgroups: readonly number[], limit: number, shader: Shader): void {
  if (workgroups.every((n) => n <= limit)) return;
  raise(
    "KW-DISPATCH-WORKGROUPS",
    `Cannot dispatch [${workgroups.join(", ")}] workgroups: the adapter allows ${limit} in each dimension`,
    "Spread them over two dimensions, or loop in the shader.",
    { file: shader.name },
  );
}
