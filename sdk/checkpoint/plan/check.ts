import { closest, KernelwrightError, raise } from "../../errors.ts";
import type { ErrorCode } from "../../error_codes.ts";
import { currentGpu } from "../../gpu/mod.ts";
import { byteLength, type DeviceName, formatSpec, type TensorSpec } from "../../tensor/mod.ts";
import { codecOf, loadableAs } from "../safetensors/codec.ts";
import { directMoves } from "./direct_moves.ts";
import type { LoadPlan } from "./plan.ts";
import { formatEntry } from "./value.ts";

/**
 * Raises everything that is wrong with a plan, in one error.
 *
 * @param strict Whether missing, unexpected and misshapen tensors are errors.
 * @throws KW-CHECKPOINT-KEYS, KW-CHECKPOINT-SHAPE, KW-CHECKPOINT-DTYPE, KW-GPU-LIMIT, KW-GPU-NONE, KW-GPU-FEATURE
 */
export function checkPlan(plan: LoadPlan, name: string, device: DeviceName, strict: boolean): void {
  if (strict) checkFit(plan, name);
  for (const value of plan.steps.flatMap((s) => s.inputs)) {
    if (!value.entry || codecOf(value.entry.dtype, value.spec.dtype)) continue;
    raise(
      "KW-CHECKPOINT-DTYPE",
      `Cannot load ${formatEntry(value.entry)} as ${value.spec.dtype}`,
      `It can be loaded as ${loadableAs(value.entry.dtype).join(" or ") || "nothing that WebGPU has"}.`,
      { file: name, key: value.entry.key },
    );
  }
  if (device === "webgpu") checkGpu(plan, name);
}

// ---------------------------------------------------------------------------

const [MAX_SHOWN, MOST_CANDIDATES] = [10, 2000];

function checkFit(plan: LoadPlan, name: string): void {
  const { missing, unexpected, mismatched } = plan;
  const problems: { code: ErrorCode; key: string; text: string }[] = [];
  for (const m of mismatched) {
    const code = m.dtype ? "KW-CHECKPOINT-DTYPE" : "KW-CHECKPOINT-SHAPE";
    problems.push({ code, key: m.key, text: `${q(m.key)} is ${m.checkpoint}, and the model has ${m.model}` });
  }
  const candidates = unexpected.slice(0, MOST_CANDIDATES).map((v) => v.name);
  for (const m of missing) {
    // Only for what is shown: each search looks at every candidate.
    const near = problems.length < MAX_SHOWN ? closest(m.key, candidates) : undefined;
    const hint = near === undefined ? "" : `; there is ${q(near)}`;
    problems.push({
      code: "KW-CHECKPOINT-KEYS",
      key: m.key,
      text: `${q(m.key)} (${formatSpec(m.spec)}) is missing${hint}`,
    });
  }
  for (const v of unexpected) {
    const what = v.entry ? formatEntry(v.entry) : formatSpec(v.spec);
    problems.push({
      code: "KW-CHECKPOINT-KEYS",
      key: v.name,
      text: `${q(v.name)} (${what}) is not in the model`,
    });
  }
  if (problems.length === 0) return;
  const [first] = problems;
  const notes = problems.length === 1 ? [] : problems.slice(0, MAX_SHOWN).map((p) => p.text);
  if (problems.length > MAX_SHOWN) notes.push(`and ${problems.length - MAX_SHOWN} more`);
  throw new KernelwrightError({
    code: first.code,
    what: problems.length === 1
      ? `The checkpoint does not fit the model: ${first.text}`
      : `The checkpoint does not fit the model: ${mismatched.length} tensors have another shape or dtype, ` +
        `${missing.length} are missing, ${unexpected.length} are not in the model`,
    fix: "Give the checkpoint of this model, a mapping, or { strict: false } to load what fits.",
    where: { file: name, key: problems.length === 1 ? first.key : undefined },
    notes,
  });
}

/** Before anything is allocated: what is larger than the adapter binds, or of a dtype that it lacks. */
function checkGpu(plan: LoadPlan, name: string): void {
  const gpu = currentGpu();
  const limit = Math.min(gpu.limits.maxStorageBufferBindingSize, gpu.limits.maxBufferSize);
  const tensors: { key: string; spec: TensorSpec }[] = plan.sinks.map((s) => ({
    key: s.path,
    spec: s.value.spec,
  }));
  for (const step of plan.steps.filter((s) => !directMoves(s.bound))) {
    for (const v of [...step.inputs, ...step.outputs]) tensors.push({ key: v.name, spec: v.spec });
  }
  for (const { key, spec } of tensors) {
    const bytes = byteLength(spec);
    if (bytes > limit) {
      raise(
        "KW-GPU-LIMIT",
        `Cannot load ${formatSpec(spec)}, ${bytes} bytes: the adapter binds at most ${limit} bytes`,
        'Load the model with dtype "f16", or use an adapter with larger limits.',
        { file: name, key },
      );
    }
    if (spec.dtype === "f16" && !gpu.features.has("shader-f16")) {
      raise(
        "KW-GPU-FEATURE",
        'Cannot load the model as f16: this adapter lacks "shader-f16"',
        'Load it with dtype "f32".',
        { file: name, key },
      );
    }
  }
}

function q(key: string): string {
  return JSON.stringify(key.length > 120 ? `${key.slice(0, 117)}...` : key);
}
