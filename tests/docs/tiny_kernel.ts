/** A kernel's package for examples, and its bundle. @module */
import { join, toFileUrl } from "@std/path";
import { bundlePackage } from "../../sdk/cli/bundle.ts";
import { ROOT } from "./deno.ts";

/** What puts it into a model. */
export const KERNELS_JSON = JSON.stringify({
  kernels: [{ replace: "RMSNorm", at: "model.norm", with: "./fast-norm:FastNorm" }],
});

const CODE = `import {
  dispatch, kernel, Layout, layout, parameter, rename, replaces, shader, Tensor, workgroups,
} from "@kernelwright/sdk";
import { RMSNorm } from "@kernelwright/sdk/nn";

const norm = shader({
  name: "norm.wgsl",
  code: \`struct Params { rows: u32, columns: u32, eps: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = id.x + id.y * groups.x * 64;
  if (row >= params.rows) { return; }
  let start = row * params.columns;
  var squares = 0.0;
  for (var i = 0u; i < params.columns; i++) { squares += x[start + i] * x[start + i]; }
  let factor = inverseSqrt(squares / f32(params.columns) + params.eps);
  for (var i = 0u; i < params.columns; i++) { out[start + i] = x[start + i] * factor * scale[i]; }
}\`,
});
const site = replaces(RMSNorm);

@layout({ site, conversions: [rename("weight", "scale")] })
export class FastNormLayout extends Layout {
  constructor(readonly hidden_size: number, readonly eps = 1e-6) {
    super();
    this.scale = parameter([hidden_size]);
  }
  scale;
}

@kernel({ site, layout: FastNormLayout, requires: { dtypes: ["f32"] } })
export class FastNorm {
  forward(this: FastNormLayout, x: Tensor): Tensor {
    const columns = this.hidden_size;
    const rows = columns === 0 ? 0 : x.size / columns;
    const out = Tensor.empty(x.shape);
    const bindings = { x, scale: this.scale, out, params: { rows, columns, eps: this.eps } };
    dispatch(norm, bindings, { workgroups: workgroups(rows) });
    return out;
  }
}
`;

/** Writes the package into a folder, and its bundle into `dist` below it. */
export async function writeTinyKernel(dir: string): Promise<void> {
  Deno.mkdirSync(dir);
  const { imports } = JSON.parse(Deno.readTextFileSync(join(ROOT, "deno.json")));
  const sdk = Object.entries(imports as Record<string, string>)
    .filter(([name]) => name.startsWith("@kernelwright/sdk"))
    .map(([name, path]) => [name, toFileUrl(join(ROOT, path)).href]);
  const config = {
    name: "@you/fast-norm",
    version: "1.0.0",
    license: "MIT",
    exports: "./mod.ts",
    imports: Object.fromEntries(sdk),
  };
  Deno.writeTextFileSync(join(dir, "deno.json"), JSON.stringify(config));
  Deno.writeTextFileSync(join(dir, "mod.ts"), CODE);
  await bundlePackage(dir);
}
