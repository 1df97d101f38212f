import { describe, it } from "@std/testing/bdd";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { openGpu } from "@kernelwright/sdk";
import { TreeNorm } from "./fixtures/tree-norm/mod.ts";
import { checksOf } from "../../sdk/testing/checks.ts";
import { Subject } from "../../sdk/testing/subject.ts";
import { testKernel } from "../../sdk/testing/mod.ts";
import { type Mutant, plant } from "./mutant.ts";

const PARITY = "parity with the modules";
const SIZES = "sizes of any kind";
const MEMORY = "reads and writes stay inside their tensors";
const norm = { folder: "tests/testing/fixtures/plain-norm", kernel: "CustomRMSNorm" };
const mlp = { folder: "tests/testing/fixtures/plain-mlp", kernel: "RMSNormMLP" };
const swiglu = { folder: "examples/swiglu", kernel: "SwiGLU" };
const tree = { folder: "tests/testing/fixtures/tree-norm", kernel: "TreeNorm" };

const MUTANTS: Mutant[] = [
  {
    bug: "the edge is one too far: one value is written behind the end",
    ...swiglu,
    edits: [["swiglu.wgsl", "if (i >= params.size)", "if (i > params.size)"]],
    caughtBy: [MEMORY],
    says: /wrote behind the end[^]*[0-3] bytes behind its end, made .*kernel\.ts:/,
  },
  {
    bug: "the edge is one too near: the last value is not written",
    ...swiglu,
    edits: [["swiglu.wgsl", "if (i >= params.size)", "if (i + 1u >= params.size)"]],
    caughtBy: [MEMORY, PARITY],
    says: /got NaN/,
  },
  {
    bug: "the vector's tail is written too: the next row's first values, and behind the end",
    ...norm,
    edits: [["rms_norm.wgsl", "min(4u, params.cols - i)", "4u"]],
    caughtBy: [MEMORY],
  },
  {
    bug: "all rows of a block are written, also those that are not there",
    ...mlp,
    edits: [["down.wgsl", "let rows = min(ROWS, params.rows - first);", "let rows = ROWS;"]],
    caughtBy: [MEMORY],
  },
  {
    bug: "a sum goes one too far, into the next row",
    ...norm,
    edits: [["rms_norm.wgsl", "i < params.cols; i++", "i <= params.cols; i++"]],
    caughtBy: [PARITY, MEMORY],
    says: /values of \[2, 3, 33\] are too far off[^]*worst \[\d+, \d+, \d+\] +got/,
  },
  {
    bug: "the last, partial workgroup is not run",
    ...norm,
    edits: [["kernel.ts", "workgroups(rows, 16)", "Math.floor(rows / 16)"]],
    caughtBy: [MEMORY, PARITY],
  },
  {
    bug: "epsilon outside the root",
    ...norm,
    edits: [[
      "rms_norm.wgsl",
      "inverseSqrt(squares / f32(params.cols) + params.eps)",
      "1.0 / (sqrt(squares / f32(params.cols)) + params.eps)",
    ]],
    caughtBy: ["tiny values"],
  },
  {
    bug: "the stride of a row is padded as the weight is",
    ...norm,
    edits: [["rms_norm.wgsl", "row * params.cols;", "row * ((params.cols + 3u) / 4u * 4u);"]],
    caughtBy: [SIZES, PARITY],
    says: /the smallest sizes that fail: \{ batch: 1, tokens: 2, width: 1 \}/,
  },
  {
    bug: "the mean is taken over the padding too",
    ...norm,
    edits: [["rms_norm.wgsl", "squares / f32(params.cols)", "squares / f32((params.cols + 3u) / 4u * 4u)"]],
    caughtBy: [SIZES],
    says: /the smallest sizes that fail: \{ batch: 1, tokens: 1, width: 1 \}/,
  },
  {
    bug: "the input is scaled in place",
    ...norm,
    edits: [
      ["rms_norm.wgsl", "var<storage, read> x", "var<storage, read_write> x"],
      ["rms_norm.wgsl", "    for (var lane", "    x[start + i] = x[start + i] * T(0.5);\n    for (var lane"],
    ],
    caughtBy: ["inputs and weights left unchanged"],
    says: /changed "input 0"/,
  },
  {
    bug: "gate and up in the wrong order",
    ...mlp,
    edits: [[
      "layout.ts",
      '["mlp.gate_proj.weight", "mlp.up_proj.weight"]',
      '["mlp.up_proj.weight", "mlp.gate_proj.weight"]',
    ]],
    caughtBy: [PARITY],
  },
  {
    bug: "a weight is read transposed",
    ...mlp,
    edits: [["down.wgsl", "weight[column * inner + k]", "weight[k * params.hidden + column]"]],
    caughtBy: [PARITY],
  },
  {
    bug: "no barrier between the levels of a tree",
    ...tree,
    edits: [["tree_norm.wgsl", "    workgroupBarrier(); // this level is done\n", ""]],
    caughtBy: [PARITY],
  },
  {
    bug: "no barrier before the tree",
    ...tree,
    edits: [["tree_norm.wgsl", "  workgroupBarrier(); // all partial sums are there\n", ""]],
    caughtBy: [PARITY],
  },
  {
    bug: "sums of squares in half precision",
    ...norm,
    edits: [
      ["rms_norm.wgsl", "var squares = 0.0;", "var squares = T(0);"],
      ["rms_norm.wgsl", "squares += value * value;", "squares += T(value) * T(value);"],
      ["rms_norm.wgsl", "inverseSqrt(squares /", "inverseSqrt(f32(squares) /"],
    ],
    caughtBy: ["outliers of 800"],
    dtype: "f16",
  },
  {
    bug: "a sigmoid that overflows",
    ...swiglu,
    edits: [["swiglu.wgsl", "g / (1.0 + exp(-g))", "g * exp(g) / (1.0 + exp(g))"]],
    caughtBy: ["large values"],
  },
  {
    bug: "NaN is clamped away",
    ...swiglu,
    edits: [["swiglu.wgsl", "let g = f32(gate[i]);", "let g = max(f32(gate[i]), -100.0);"]],
    caughtBy: ["NaN comes out where it must"],
    says: /expected NaN/,
  },
  {
    bug: "the sizes of the first call are kept",
    ...norm,
    edits: [
      [
        "kernel.ts",
        "const site =",
        "let kept: { rows: number; cols: number; eps: number } | undefined;\nconst site =",
      ],
      ["kernel.ts", "params: {", "params: kept ??= {"],
    ],
    caughtBy: ["nothing kept between calls"],
  },
  {
    bug: "a counter leaks into the result",
    ...norm,
    edits: [
      ["kernel.ts", "const site =", "let calls = 0;\nconst site ="],
      ["kernel.ts", "eps: this.eps }", "eps: this.eps + calls++ }"],
    ],
    caughtBy: ["the same result every time"],
  },
  {
    bug: "a temporary tensor is kept",
    ...mlp,
    edits: [
      ["kernel.ts", "import { dispatch, kernel,", "import { dispatch, keep, kernel,"],
      [
        "kernel.ts",
        "const activated = Tensor.empty([rows, inner], options);",
        "const activated = keep(Tensor.empty([rows, inner], options));",
      ],
    ],
    caughtBy: ["no tensor is left behind"],
    says: /3 runs left 3 tensors behind[^]*kernel\.ts:\d+/,
  },
  {
    bug: "a conversion that rounds",
    ...mlp,
    edits: [
      ["layout.ts", "import {\n  concatenate,", "import {\n  cast,\n  concatenate,"],
      [
        "layout.ts",
        'rename("norm.weight", "scale")',
        'convert("norm.weight", "scale", [cast("f16"), cast("f32")])',
      ],
    ],
    caughtBy: ["conversions there and back"],
    says: /"norm\.weight" does not come back/,
  },
  {
    bug: "a workgroup larger than every adapter allows, and no word of it",
    ...swiglu,
    edits: [["swiglu.wgsl", "@workgroup_size(256)", "@workgroup_size(512)"]],
    caughtBy: ["requires is true and honoured"],
    says: /maxComputeInvocationsPerWorkgroup: 512/,
  },
];

testKernel(TreeNorm);

describe({
  name: "testKernel() catches a planted bug",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () => {
    for (const mutant of MUTANTS) {
      it(`${mutant.bug} (${mutant.kernel}) → ${mutant.caughtBy.join("; ")}`, async () => {
        const gpu = await openGpu();
        const folder = Deno.makeTempDirSync({ prefix: "kernelwright-mutant-" });
        try {
          const cls = await plant(mutant, folder);
          const dtype = mutant.dtype ?? "f32";
          if (dtype === "f16" && !gpu.features.has("shader-f16")) return;
          const checks = checksOf(new Subject(cls, {}));
          for (const [i, name] of mutant.caughtBy.entries()) {
            const check = checks.find((c) => c.name === name)!;
            const error = await check.run(dtype).then(() => undefined, (e) => e);
            assert(error !== undefined, `"${name}" did not catch it`);
            assertEquals(error.code, "KW-TEST-CHECK", String(error));
            if (i === 0 && mutant.says) assertMatch(error.message, mutant.says);
          }
        } finally {
          Deno.removeSync(folder, { recursive: true });
        }
      });
    }
  },
});
