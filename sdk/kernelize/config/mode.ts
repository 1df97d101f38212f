import { raise } from "../../errors.ts";

/** What a model is run for. */
export type Mode = "inference" | "training" | "inference|capture" | "training|capture";

/** The mode of a kernel: one of {@linkcode Mode}, or `fallback` for a kernel that serves any. */
export type KernelMode = Mode | "fallback";

/**
 * The modes as constants.
 *
 * @example
 * ```ts
 * import { Mode, replace } from "@kernelwright/sdk/config";
 * import { assertEquals } from "@std/assert";
 *
 * const entry = replace("RMSNorm", [{ kernel: "./fast-norm:FastNorm", mode: Mode.INFERENCE }]);
 * assertEquals(entry.with, [{ kernel: "./fast-norm:FastNorm", mode: "inference" }]);
 * ```
 */
export const Mode = {
  /** Forward only. */
  INFERENCE: "inference",
  /** Forward and backward. */
  TRAINING: "training",
  /** Forward only, recorded once and replayed. */
  INFERENCE_CAPTURE: "inference|capture",
  /** Forward and backward, recorded once and replayed. */
  TRAINING_CAPTURE: "training|capture",
} as const;

/**
 * Which kernels may serve a mode, best first: the order of Hugging Face `kernels`.
 *
 * A kernel for training also serves inference, and one that can be captured also serves without; not the reverse.
 */
export const MODE_FALLBACK: Readonly<Record<Mode, readonly KernelMode[]>> = {
  "inference": ["inference", "inference|capture", "training", "training|capture", "fallback"],
  "training": ["training", "training|capture", "fallback"],
  "inference|capture": ["inference|capture", "training|capture", "fallback"],
  "training|capture": ["training|capture", "fallback"],
};

/** Reads a mode as people write it: any order, case and spaces. Raises KW-CONFIG-VALUE. */
export function parseMode(text: string): KernelMode {
  const parts = text.toLowerCase().split("|").map((p) => p.trim()).sort().reverse();
  const name = parts.join("|");
  if (name === "fallback" || name in MODE_FALLBACK) return name as KernelMode;
  raise(
    "KW-CONFIG-VALUE",
    `Unknown mode ${JSON.stringify(text)}`,
    `Known: ${Object.keys(MODE_FALLBACK).join(", ")}, fallback.`,
  );
}
