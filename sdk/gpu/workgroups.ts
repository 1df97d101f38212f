import { checkArgument, refuseArgument } from "../arguments.ts";

/** WebGPU promises this many workgroups in a dimension, and adapters give no more. */
const MAX_WORKGROUPS = 65535;

/**
 * Workgroup counts for at least `invocations` invocations in workgroups of `size`, spread over two dimensions where
 * one is too short. There may be more than are needed: a shader finds its number with
 * `id.x + id.y * groups.x * SIZE`, where `groups` is `@builtin(num_workgroups)`, and returns when that is past the
 * end.
 * See the example of {@linkcode kernel}.
 *
 * @param size Invocations in a workgroup. Defaults to 64.
 * @throws KW-ARGUMENT for what is not a whole number.
 */
export function workgroups(invocations: number, size = 64): [x: number, y: number] {
  checkArgument("workgroups(): invocations", invocations, "a count");
  if (!Number.isSafeInteger(size) || size < 1) {
    refuseArgument("workgroups(): size", size, "a whole number from 1");
  }
  const groups = Math.ceil(invocations / size);
  const rows = Math.max(1, Math.ceil(groups / MAX_WORKGROUPS));
  return [Math.ceil(groups / rows), rows];
}
