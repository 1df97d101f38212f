/** Workgroups of 16 invocations, over two dimensions: an adapter allows 65,535 in each. */
export function grid(invocations: number): [number, number] {
  const count = Math.ceil(invocations / 16);
  const rows = Math.max(1, Math.ceil(count / 65535));
  return [Math.ceil(count / rows), rows];
}
