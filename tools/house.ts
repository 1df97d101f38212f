/**
 * The layout of the SDK: which rooms there are, on which floor, and the wings of those that have some.
 * `tools/check_rooms.ts` holds the tree to it.
 *
 * @module
 */

/**
 * From the ground up: a room imports only from lower floors or from itself, and rooms of one floor do not see
 * each other. `errors` is what lies loose in sdk/.
 */
export const FLOORS: readonly (readonly string[])[] = [
  ["errors"],
  ["host"],
  ["tensor"],
  ["gpu"],
  ["ops"],
  ["nn"],
  ["authoring"],
  ["checkpoint"],
  ["kernelize"],
  ["models", "registry", "testing"],
  ["cli"],
  ["entry"],
];

/** What stands for the files at a room's top among its wings. */
export const TOP = ".";

/**
 * The folders of a room from left to right: a wing imports only from itself and from wings to its left. Whatever
 * is not listed has no order; `mod.ts` may import everything in its room.
 */
export const WINGS: Readonly<Record<string, readonly string[]>> = {
  gpu: ["shader", "memory", "stream", "device", TOP, "capture"],
  ops: ["dispatch", TOP, "matmul", "attention"],
  checkpoint: ["source", "safetensors", "plan", TOP, "load", "save"],
  kernelize: ["config", "match", "prove", "plan", "swap", "verify", "tune", TOP],
};
