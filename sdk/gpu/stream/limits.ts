/**
 * Whether an adapter can run a shader, as far as its declarations tell: what WebGPU would report later, as an error of
 * something else, is refused where it is asked for. What is not understood here is left to the driver.
 */
import { raise, type Where } from "../../errors.ts";
import type { ShaderVariant } from "../shader/shader.ts";
import { describeVariant } from "../shader/error.ts";

/**
 * Does nothing where the shader is within the device's limits.
 *
 * @throws KW-GPU-LIMIT, KW-GPU-FEATURE
 */
export function checkLimits(
  variant: ShaderVariant,
  constants: Readonly<Record<string, number>>,
  { limits, features }: GPUDevice,
): void {
  const where = { file: variant.shader.name, variant: describeVariant(variant, constants) };
  const { storage, uniforms } = variant.reflection;
  checkCount("storage buffers", storage.length, limits.maxStorageBuffersPerShaderStage, where);
  const mostUniforms = Math.min(
    limits.maxUniformBuffersPerShaderStage,
    limits.maxDynamicUniformBuffersPerPipelineLayout, // each has a dynamic offset
  );
  checkCount("uniforms", uniforms.length, mostUniforms, where);
  for (const u of uniforms) {
    if (u.bytes <= limits.maxUniformBufferBindingSize) continue;
    raise(
      "KW-GPU-LIMIT",
      `The uniform "${u.name}" has ${u.bytes} bytes; the adapter allows ${limits.maxUniformBufferBindingSize}`,
      "Declare it var<storage, read> and give a tensor.",
      where,
    );
  }
  for (const b of [...storage, ...uniforms]) {
    if (b.group >= limits.maxBindGroups) {
      tooHigh(b.name, "group", b.group, limits.maxBindGroups, where);
    }
    if (b.binding >= limits.maxBindingsPerBindGroup) {
      tooHigh(b.name, "binding", b.binding, limits.maxBindingsPerBindGroup, where);
    }
  }
  checkWorkgroup(variant, constants, limits, where);
  if (
    variant.reflection.enables.has("f16") && !(features as unknown as ReadonlySet<string>).has("shader-f16")
  ) {
    raise("KW-GPU-FEATURE", 'The shader uses f16; the adapter lacks "shader-f16"', "Run it on f32.", where);
  }
}

// ---------------------------------------------------------------------------

function checkCount(what: string, count: number, limit: number, where: Where): void {
  if (count <= limit) return;
  raise(
    "KW-GPU-LIMIT",
    `The shader binds ${count} ${what}; the adapter allows ${limit}`,
    what === "uniforms" ? "Put them into one struct." : "Pack small tensors together, or split the shader.",
    where,
  );
}

function tooHigh(name: string, what: string, got: number, limit: number, where: Where): never {
  raise(
    "KW-GPU-LIMIT",
    `"${name}" is at @${what}(${got}); the adapter has ${limit}, and the first is 0`,
    `Give it a lower ${what}.`,
    where,
  );
}

function checkWorkgroup(
  variant: ShaderVariant,
  constants: Readonly<Record<string, number>>,
  limits: GPUSupportedLimits,
  where: Where,
): void {
  const { size, bytes } = variant.reflection.workgroup(variant.entryPoint, constants);
  if (size) {
    const most = [
      limits.maxComputeWorkgroupSizeX,
      limits.maxComputeWorkgroupSizeY,
      limits.maxComputeWorkgroupSizeZ,
    ];
    const axis = size.findIndex((n, i) => n > most[i]);
    const invocations = size[0] * size[1] * size[2];
    if (axis >= 0 || invocations > limits.maxComputeInvocationsPerWorkgroup) {
      raise(
        "KW-GPU-LIMIT",
        axis >= 0
          ? `The shader's workgroup is [${size.join(", ")}]; the adapter allows ${most[axis]} along ${
            "xyz"[axis]
          }`
          : `The shader's workgroup is [${
            size.join(", ")
          }], ${invocations} invocations; the adapter allows ${limits.maxComputeInvocationsPerWorkgroup}`,
        "Use a smaller workgroup, and loop in the shader or dispatch more of them.",
        where,
      );
    }
  }
  if (bytes !== undefined && bytes > limits.maxComputeWorkgroupStorageSize) {
    raise(
      "KW-GPU-LIMIT",
      `The shader's var<workgroup> take ${bytes} bytes together; the adapter allows ${limits.maxComputeWorkgroupStorageSize}`,
      "Use a smaller tile, or f16 in it.",
      where,
    );
  }
}
