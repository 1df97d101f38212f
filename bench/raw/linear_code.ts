/**
 * The barrier-free product for software devices, x Wᵀ, written for one shape: R rows by C columns of outputs to an
 * invocation, vec4 loads along k. The row comes from the workgroup's number, so that the driver sees that all
 * lanes load the same x and loads it once.
 */

/** What the code is written for. */
export interface LinearShape {
  /** Rows of x. */
  readonly rows: number;
  /** Rows of W. */
  readonly columns: number;
  /** What is summed over. */
  readonly depth: number;
  /** f32 or f16. */
  readonly dtype: string;
}

/** WGSL for blocks of `r` by `c`, `lanes` invocations along the columns. */
export function rawLinear(s: LinearShape, r: number, c: number, lanes: number): string {
  const each = (n: number, line: (i: number) => string, between = "\n") =>
    Array.from({ length: n }, (_, i) => line(i)).join(between);
  const vector = s.depth % 4 === 0;
  const stride = vector ? s.depth / 4 : s.depth;
  const wide = Math.floor(s.depth / 4) * (vector ? 1 : 4);
  const element = vector ? `vec4<${s.dtype}>` : s.dtype;
  const load = (name: string, at: string) =>
    vector ? `vec4f(${name}[${at}])` : `vec4f(${each(4, (i) => `f32(${name}[${at} + ${i}u])`, ", ")})`;
  return `${s.dtype === "f16" ? "enable f16;" : ""}
@group(0) @binding(0) var<storage, read> x: array<${element}>;
@group(0) @binding(1) var<storage, read> w: array<${element}>;
@group(0) @binding(2) var<storage, read_write> out: array<${s.dtype}>;
fn put(row: u32, column: u32, v: f32) {
  ${s.rows % r ? `if (row >= ${s.rows}u) { return; }` : ""}
  ${s.columns % (c * lanes) ? `if (column >= ${s.columns}u) { return; }` : ""}
  out[row * ${s.columns}u + column] = ${s.dtype}(v);
}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let row = group.y * ${r}u;
  let column = (group.x * ${lanes}u + lane.x) * ${c}u;
${each(r, (i) => `  let x${i} = min(row + ${i}u, ${s.rows - 1}u) * ${stride}u;`)}
${each(c, (i) => `  let w${i} = min(column + ${i}u, ${s.columns - 1}u) * ${stride}u;`)}
${each(r, (i) => each(c, (j) => `  var s${i}_${j} = 0.0;`, ""))}
  for (var k = 0u; k < ${wide}u; k += ${vector ? 1 : 4}u) {
${each(c, (j) => `    let b${j} = ${load("w", `w${j} + k`)};`)}
${
    each(r, (i) =>
      `    let a${i} = ${load("x", `x${i} + k`)}; ${
        each(c, (j) => `s${i}_${j} += dot(a${i}, b${j});`, " ")
      }`)
  }
  }
${
    vector ? "" : `  for (var k = ${wide}u; k < ${stride}u; k++) {
${each(c, (j) => `    let b${j} = f32(w[w${j} + k]);`)}
${each(r, (i) => `    let a${i} = f32(x[x${i} + k]); ${each(c, (j) => `s${i}_${j} += a${i} * b${j};`, " ")}`)}
  }`
  }
${each(r, (i) => each(c, (j) => `  put(row + ${i}u, column + ${j}u, s${i}_${j});`, ""))}
}`;
}
