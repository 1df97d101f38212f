import type { Proof } from "./faults.ts";

/** Where a buffer goes back to, if not to the pool. */
export interface BufferHome {
  /** Takes a buffer back. */
  release(b: GpuBuffer): void;
}

/** A buffer of a device, and what is known of it. */
export interface GpuBuffer {
  /** The WebGPU object. */
  readonly buffer: GPUBuffer;
  /** Its size in bytes: what was asked for, rounded up to 4, at least 16. */
  readonly size: number;
  /** How many bytes were asked for: what follows in the last word is nobody's. */
  bytes: number;
  /** A number that no other buffer of this device has. */
  readonly id: number;
  /** The submit that last used it; equal to the stream's current one while that is still being recorded. */
  lastUse: number;
  /** How often it has been handed out: a plan that was captured with it knows by this that it is another's now. */
  owner: number;
  /** Whether somebody has it; otherwise it waits in the pool. */
  held: boolean;
  /** The submit that last wrote it. */
  lastWrite: number;
  /** Whether the device could allocate it; undefined once it could. */
  proof: Proof | undefined;
  /** What its content depends on that is not known to be good. */
  proofs: readonly Proof[] | undefined;
  /** The captured plan that it belongs to. */
  arena?: BufferHome;
}
