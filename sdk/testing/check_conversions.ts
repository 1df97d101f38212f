import { kernelPlan, unkernelize } from "../kernelize/mod.ts";
import type { Module } from "../nn/mod.ts";
import type { KernelCheck } from "./checks.ts";
import type { Subject } from "./subject.ts";
import { fail, swappedModel } from "./trial.ts";

/** The layout's conversions, and back: every parameter is again what it was, byte for byte. */
export function conversionsCheck(subject: Subject, seed: number): KernelCheck {
  return {
    name: "conversions there and back",
    run: async (dtype) => {
      if (!subject.kernel.layout) return;
      for (const dims of subject.shapes) {
        const setup = { dims, dtype, seed };
        const original = subject.model(dims, dtype);
        subject.fillParameters(original, "webgpu", seed);
        const before = await bytesOf(original);
        original.dispose();
        const model = await swappedModel(subject, setup);
        // What is dropped or given up cannot come back, and its author said so.
        const reversible = kernelPlan(model)!.sites.every((s) => s.conversions.reversible);
        unkernelize(model);
        const after = await bytesOf(model);
        model.dispose();
        for (const [name, bytes] of reversible ? before : []) {
          const at = firstDifference(bytes, after.get(name));
          if (at >= 0) {
            fail(subject, setup, `"${name}" does not come back: byte ${at} of ${bytes.length} differs`);
          }
        }
      }
    },
  };
}

/** The bytes of every parameter. */
export async function bytesOf(model: Module): Promise<Map<string, Uint8Array>> {
  const bytes = new Map<string, Uint8Array>();
  for (const [name, p] of model.namedParameters()) {
    const data = await p.data();
    bytes.set(name, new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength));
  }
  return bytes;
}

/** The first byte that differs, or -1. */
export function firstDifference(a: Uint8Array, b: Uint8Array | undefined): number {
  if (b?.length !== a.length) return 0;
  return a.findIndex((v, i) => v !== b[i]);
}
