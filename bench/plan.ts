/**
 * How long kernelize thinks before it changes anything: matching, selection, the trace, conversions and each kernel's
 * forward on meta, for 50 entries in trees of three sizes. It must grow with the tree, not with its square, and stay
 * under two seconds for 10,000 modules.
 *
 *     deno run -A bench/plan.ts
 */
import { Module, Tensor } from "@kernelwright/sdk";
import { add } from "@kernelwright/sdk/ops";
import { LlamaMLP, ModuleList, RMSNorm } from "@kernelwright/sdk/nn";
import { fuse, type KernelEntry, replace } from "@kernelwright/sdk/config";
import { planKernelize } from "@kernelwright/sdk/inspect";
import { Norm, NormForward, NormMLP } from "../tests/kernelize/fixtures.ts";
import { drawTable } from "../sdk/kernelize/report.ts";

const SIZES = [2500, 5000, 10000];
const STAGES = 10;
const WIDTH = 8;

class Block extends Module {
  input_norm = new RMSNorm(WIDTH);
  norm = new RMSNorm(WIDTH);
  mlp = new LlamaMLP(WIDTH, WIDTH);
  override forward(x: Tensor): Tensor {
    return add(x, this.mlp.call(this.norm.call(this.input_norm.call(x))));
  }
}

/** Ten stages of blocks, each in a list of its own. */
class Tower extends Module {
  stages: ModuleList<Stage>;
  constructor(modules: number) {
    super();
    const blocks = Math.round((modules - 1 - STAGES * 2) / (STAGES * 8));
    this.stages = new ModuleList(Array.from({ length: STAGES }, () => new Stage(blocks)));
  }
  override forward(x: Tensor): Tensor {
    for (const stage of this.stages) x = stage.call(x);
    return x;
  }
  exampleInputs(): unknown[][] {
    return [[Tensor.empty([1, WIDTH], { device: "meta" })]];
  }
}
class Stage extends Module {
  layers: ModuleList<Block>;
  constructor(blocks: number) {
    super();
    this.layers = new ModuleList(Array.from({ length: blocks }, () => new Block()));
  }
  override forward(x: Tensor): Tensor {
    for (const layer of this.layers) x = layer.call(x);
    return x;
  }
}

/** Five entries for each stage; the last of each wins, so that there is something to be shadowed. */
function entries(): KernelEntry[] {
  return Array.from({ length: STAGES }, (_, i) => {
    const at = `stages.${i}.layers.*`;
    return [
      replace("RMSNorm", NormForward),
      replace("RMSNorm", NormForward, { at: `${at}.input_norm` }),
      replace("RMSNorm", Norm, { at: { regex: `^stages\\.${i}\\.layers\\.\\d+\\.input_norm$` } }),
      replace("RMSNorm", Norm, { at: [`${at}.input_norm`, "head.norm"] }),
      fuse([["RMSNorm", `${at}.norm`], ["LlamaMLP", `${at}.mlp`]], NormMLP),
    ];
  }).flat();
}

const kernels = entries();
const rows = [["modules", "sites", "match only, ms", "all, ms", "µs per module"]];
for (const size of SIZES) {
  const model = new Tower(size);
  const modules = [...model.namedModules()].length;
  // No samples: no trace, and so only replacements.
  const replacements = kernels.filter((e) => !("fuse" in e));
  const match = await time(() => planKernelize(model, { kernels: replacements }, { samples: [] }));
  const { ms, result } = await time(() => planKernelize(model, { kernels }));
  rows.push([
    String(modules),
    String(result.plan.sites.length),
    match.ms.toFixed(0),
    ms.toFixed(0),
    (1000 * ms / modules).toFixed(0),
  ]);
}
console.log(`planning ${kernels.length} entries`);
console.log(drawTable(rows));

/** The best of three: what else the machine does only adds. */
async function time<T>(fn: () => Promise<T>): Promise<{ ms: number; result: T }> {
  let [best, result] = [Infinity, undefined as T];
  for (let i = 0; i < 3; i++) {
    const start = performance.now();
    result = await fn();
    best = Math.min(best, performance.now() - start);
  }
  return { ms: best, result };
}
