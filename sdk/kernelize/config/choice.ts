import type { KernelCandidate, KernelChoice, KernelRef, ModeTable } from "./config.ts";
import { isKernel, type KernelClass } from "../../authoring/mod.ts";
import { type KernelMode, parseMode } from "./mode.ts";

/** A kernel for a site with the conditions under which it is meant. */
export interface Candidate extends Omit<KernelCandidate, "mode" | "kernel"> {
  /** The mode that it is for. */
  readonly mode: KernelMode;
  /** The kernel, or a reference still to be resolved. */
  readonly kernel: KernelRef;
}

/** Every form of a choice, as a flat list of candidates. Raises KW-CONFIG-VALUE for an unknown mode. */
export function candidatesOf(choice: KernelChoice): Candidate[] {
  if (isRef(choice)) return [{ kernel: choice, mode: "fallback" }];
  if (Array.isArray(choice)) {
    return (choice as KernelCandidate[]).map((c) => ({ ...c, mode: parseMode(c.mode ?? "fallback") }));
  }
  const table = (choice as { webgpu: KernelRef | ModeTable | readonly KernelCandidate[] }).webgpu;
  if (isRef(table) || Array.isArray(table)) return candidatesOf(table as KernelChoice);
  return Object.entries(table as ModeTable).map(([mode, kernel]) => ({ mode: parseMode(mode), kernel }));
}

/** Every reference in a choice that is text. */
export function textRefs(choice: KernelChoice): string[] {
  return candidatesOf(choice).map((c) => c.kernel).filter((k) => typeof k === "string");
}

/** The same choice with other references. */
export function mapRefs(choice: KernelChoice, change: (ref: KernelRef) => KernelRef): KernelChoice {
  if (isRef(choice)) return change(choice);
  if (Array.isArray(choice)) {
    return (choice as KernelCandidate[]).map((c) => ({ ...c, kernel: change(c.kernel) }));
  }
  const { webgpu: table } = choice as { webgpu: KernelRef | ModeTable | readonly KernelCandidate[] };
  if (isRef(table) || Array.isArray(table)) {
    return { webgpu: mapRefs(table as KernelChoice, change) as KernelRef | readonly KernelCandidate[] };
  }
  const byMode = Object.entries(table as ModeTable).map(([mode, ref]) => [mode, change(ref)]);
  return { webgpu: Object.fromEntries(byMode) };
}

function isRef(value: unknown): value is string | KernelClass {
  return typeof value === "string" || isKernel(value);
}
