import type { Program } from "./process.ts";

export type { Program };

/** Hand-written WGSL, dispatched by plain WebGPU calls: what everybody is held against. */
export const RAW: Program = { name: "raw", file: "raw/main.ts" };

/** The SDK, operator by operator. */
export const EAGER: Program = { name: "eager", file: "ours/main.ts", args: ["eager"] };

/** The SDK, a call recorded once and replayed. */
export const CAPTURED: Program = { name: "captured", file: "ours/main.ts", args: ["captured"] };

const peer = (name: string, env?: Record<string, string>): Program => ({
  name,
  file: `peers/${name}.ts`,
  config: "peers/deno.json",
  env,
});

/** Other libraries on WebGPU. They are not a dependency of the SDK: only peers/deno.json names them. */
export const PEERS: readonly Program[] = [
  peer("jax-js"),
  peer("tfjs", { WEBGPU_CPU_FORWARD: "false" }),
  peer("onnxruntime"),
];
