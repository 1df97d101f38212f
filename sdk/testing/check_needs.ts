import { KernelwrightError } from "../errors.ts";
import { collectPipelines, type PipelineRequest } from "../gpu/mod.ts";
import { type DType, withTracer } from "../tensor/mod.ts";
import type { KernelCheck } from "./checks.ts";
import type { SiteModel, Subject } from "./subject.ts";
import { fail, type Setup, swappedModel } from "./trial.ts";

/** What every WebGPU adapter has; more must be said in `requires.limits`. */
const BASE_LIMITS = {
  maxComputeInvocationsPerWorkgroup: 256,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16384,
} as const;

/** The shaders use no more than `requires` declares, and a model in another dtype is refused. */
export function declaredNeedsCheck(subject: Subject): KernelCheck {
  return {
    name: "requires is true and honoured",
    run: async (dtype) => {
      const setup: Setup = { dims: subject.shapes[0], dtype, seed: 1 };
      const model = await swappedModel(subject, setup);
      const requests = pipelinesOf(subject, model, setup);
      model.dispose();
      for (const request of requests) checkNeeds(subject, setup, request);
      await refusesOtherDTypes(subject, setup);
    },
  };
}

/** The pipelines that a run of a model with the kernel needs. */
export function pipelinesOf(subject: Subject, model: SiteModel, setup: Setup): PipelineRequest[] {
  const requests: PipelineRequest[] = [];
  const inputs = subject.inputs(setup.dims, setup.dtype, "meta", 1);
  collectPipelines(
    (r) => requests.push(r),
    () => withTracer({ op: () => {} }, () => subject.run(model, inputs, setup.constants)),
  );
  return requests;
}

// ---------------------------------------------------------------------------

function checkNeeds(subject: Subject, setup: Setup, { variant, constants }: PipelineRequest): void {
  const { features = [], limits = {} } = subject.kernel.requires;
  const needs = (what: string, name: string, value?: number): never =>
    fail(subject, setup, `${variant.shader.name} uses ${what}, and requires does not say so`, [
      value === undefined
        ? `Write requires: { features: ["${name}"] }.`
        : `Write requires: { limits: { ${name}: ${value} } }.`,
    ]);
  for (const extension of variant.reflection.enables) {
    const feature = extension === "f16" ? "shader-f16" : extension;
    const given = setup.dtype === "f16" && extension === "f16"; // the model brings it
    if (!given && !features.includes(feature)) needs(feature, feature);
  }
  const { size = [1], bytes = 0 } = variant.reflection.workgroup(variant.entryPoint, constants);
  const used = {
    maxComputeInvocationsPerWorkgroup: size.reduce((a, b) => a * b, 1),
    maxStorageBuffersPerShaderStage: variant.reflection.storage.length,
    maxComputeWorkgroupStorageSize: bytes,
  };
  for (const [name, value] of Object.entries(used)) {
    const allowed = Math.max(limits[name] ?? 0, BASE_LIMITS[name as keyof typeof BASE_LIMITS]);
    if (value > allowed) needs(`${name} = ${value}`, name, value);
  }
}

async function refusesOtherDTypes(subject: Subject, setup: Setup): Promise<void> {
  const { dtypes } = subject.kernel.requires;
  const other: DType | undefined = dtypes && (["f16", "f32"] as const).find((d) => !dtypes.includes(d));
  if (!other) return;
  const model = subject.model(setup.dims, other);
  if ([...model.namedParameters()].length === 0) return; // nothing tells its dtype
  const refused = await subject.swap(model, setup.dims, other).then(
    () => false,
    (e) => e instanceof KernelwrightError && e.code === "KW-SELECT-NONE",
  );
  if (!refused) fail(subject, { ...setup, dtype: other }, `A model in ${other} was not refused`);
}
