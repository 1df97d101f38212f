/** Of several kernels that fit a site equally well, the fastest that is right is taken where they are measured. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { dispatch, kernel, type KernelClass, KernelwrightError, replaces, shader } from "../../mod.ts";
import { canTime, memory } from "../../sdk/gpu/mod.ts";
import {
  explain,
  fuse,
  type FusePart,
  kernelize,
  type KernelReport,
  replace,
  unkernelize,
} from "../../sdk/kernelize/mod.ts";
import { RMSNorm } from "../../sdk/nn/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { fusedSite, NormMLP, NormMLPLayout, Stack } from "./fixtures.ts";
import { fill, leavesUnchanged, outputOf } from "./unchanged.ts";
import {
  filled,
  input,
  type Model,
  NormWithoutEpsilon,
  output,
  RightNorm,
  SlowNorm,
} from "./verify_fixtures.ts";

@kernel({ site: replaces(RMSNorm), accepts: () => "it never fits" })
class Never {
  forward(x: Tensor): Tensor {
    return x;
  }
}

@kernel({ site: replaces(RMSNorm) })
class WrongShape {
  forward(x: Tensor): Tensor {
    return x.reshape([x.size]);
  }
}

@kernel({ site: replaces(RMSNorm) })
class AlsoSlow {
  forward(this: RMSNorm, x: Tensor): Tensor {
    return SlowNorm.prototype.forward.call(this, x);
  }
}

@kernel({ site: fusedSite, layout: NormMLPLayout })
class SlowNormMLP {
  forward(this: NormMLPLayout, x: Tensor): Tensor {
    for (let i = 0; i < 15; i++) NormMLP.prototype.forward.call(this, x);
    return NormMLP.prototype.forward.call(this, x);
  }
}

/** A kernel whose shader does not compile. */
function uncompiled(body: string): KernelClass {
  const code = shader({
    name: "uncompiled.wgsl",
    code: `@group(0) @binding(0) var<storage, read_write> out: array<f32>;
      @compute @workgroup_size(1) fn main() { out[0] = 1.0; ${body} }`,
  });
  @kernel({ site: replaces(RMSNorm) })
  class Uncompiled {
    forward(x: Tensor): Tensor {
      const out = Tensor.empty(x.shape);
      dispatch(code, { out }, { workgroups: 1 });
      return out;
    }
  }
  return Uncompiled;
}

/** A kernel that throws in its n-th run with values, and in all that follow. */
function throwing(n: number, error: () => unknown): KernelClass {
  let runs = 0;
  @kernel({ site: replaces(RMSNorm) })
  class Throwing {
    forward(this: RMSNorm, x: Tensor): Tensor {
      if (x.device === "webgpu" && ++runs >= n) throw error();
      return RightNorm.prototype.forward.call(this, x);
    }
  }
  return Throwing;
}

/** A kernel that does with values what no trace saw. */
@kernel({ site: replaces(RMSNorm) })
class WritesLater {
  forward(this: RMSNorm, x: Tensor): Tensor {
    if (x.device === "webgpu") this.weight.assign(Tensor.empty(this.weight.shape));
    return RightNorm.prototype.forward.call(this, x);
  }
}

const several = (...classes: KernelClass[]) => ({
  kernels: [replace("RMSNorm", classes.map((k) => ({ kernel: k })))],
});
const NORMS = ["blocks.0.norm", "blocks.1.norm", "blocks.2.norm"];

/** For each site: the kernel, and what became of each candidate, without the figures. */
function told(report: KernelReport): (string | string[] | undefined)[][] {
  return report.sites.map((s) => [
    s.path,
    s.kernel,
    s.considered.map((c) =>
      `${c.taken ? "+" : "-"}${c.kernel}: ${c.why.replace(/\d[\d.e-]*(?=[×, ])/g, "N")}`
    ),
  ]);
}

describe("kernels that fit a site equally well", () => {
  gpuForFile();

  /** Runs `fn` with a model and an input, where the adapter can time; the model is put back. */
  async function measured(fn: (model: Model, x: Tensor) => Promise<void>): Promise<void> {
    if (!canTime()) return console.log("skipped: the adapter has no timestamp queries");
    using model = filled();
    using x = input();
    await fn(model, x);
    unkernelize(model);
  }

  for (
    const [name, order] of [["later", [SlowNorm, RightNorm]], ["earlier", [RightNorm, SlowNorm]]] as const
  ) {
    it(`are measured by verify, and the faster one is taken, given ${name}`, () =>
      measured(async (model, x) => {
        const plain = await output(model, x);
        const report = await kernelize(model, several(...order), { verify: { inputs: [x] } });
        const [right, slow] = [
          "+RightNorm: it is N× faster than SlowNorm",
          "-SlowNorm: RightNorm is N× faster here",
        ];
        const considered = name === "later" ? [right, slow] : [slow, right];
        assertEquals(told(report), NORMS.map((path) => [path, "RightNorm", considered]));
        for (const site of report.sites) {
          assert(site.ms!.after > 0 && site.differences!.every((d) => d.passed));
        }
        assertEquals(explain(model, NORMS[0]).reason, report.sites[0].reason);
        // One line in the table: sites that are alike have one winner, and one figure.
        assertEquals(String(report).match(/RightNorm {2}/g)?.length, 1, String(report));
        const swapped = await output(model, x);
        assert(Array.from(swapped).every((v, i) => Math.abs(v - plain[i]) < 1e-4));
      }));
  }

  it("lose when they are wrong, however fast, with the figure", () =>
    measured(async (model, x) => {
      const report = await kernelize(model, several(RightNorm, SlowNorm, NormWithoutEpsilon), {
        verify: { inputs: [x] },
      });
      assertEquals(told(report)[0][2], [
        "-NormWithoutEpsilon: it is off by N on tiny inputs, N allowed",
        "-SlowNorm: RightNorm is N× faster here",
        "+RightNorm: it is N× faster than SlowNorm",
      ]);
    }));

  it("give way to the one that is right even where there is no other to beat", () =>
    measured(async (model, x) => {
      const report = await kernelize(model, several(RightNorm, NormWithoutEpsilon), {
        verify: { inputs: [x] },
      });
      assertEquals(told(report)[0].slice(1), ["RightNorm", [
        "-NormWithoutEpsilon: it is off by N on tiny inputs, N allowed",
        "+RightNorm: it fits as well as those that are not right here",
      ]]);
    }));

  it("are an error where none of them is right", () =>
    measured(async (model, x) => {
      const { tensors } = memory();
      await assertRejects(
        () => kernelize(model, several(NormWithoutEpsilon), { verify: { inputs: [x] } }),
        Error,
        "KW-VERIFY",
      );
      assertEquals(memory().tensors, tensors);
    }));

  it("are all proven before one of them runs", () =>
    measured(async (model, x) => {
      await assertRejects(
        () => kernelize(model, several(WrongShape, RightNorm), { verify: { inputs: [x] } }),
        Error,
        "KW-SIGNATURE-FORWARD  WrongShape",
      );
    }));

  it("do not include what does not compile, unless it would be taken", () =>
    measured(async (model, x) => {
      for (
        const cls of [uncompiled("let y: u32 = 1.5;"), uncompiled("out[0] = nothing;"), uncompiled("(((")]
      ) {
        const report = await kernelize(model, several(cls, RightNorm), { verify: { inputs: [x] } });
        assertEquals(report.swapped.map((s) => s.kernel), NORMS.map(() => "RightNorm"));
        const [, why] = report.swapped[0].considered;
        assertMatch(why.why, /^it cannot be used: KW-SHADER-COMPILE: /);
        assertEquals((await output(model, x)).length > 0, true);
        unkernelize(model);
        await assertRejects(
          () => kernelize(model, several(RightNorm, cls), { verify: { inputs: [x] } }),
          Error,
          "KW-SHADER-COMPILE  Uncompiled",
        );
      }
    }));

  it("do not include what throws while it is verified or measured, with its error", () =>
    measured(async (model, x) => {
      const ours = () => new KernelwrightError({ code: "KW-TENSOR-SHAPE", what: "odd\nrows", where: {} });
      const cases: [KernelClass, RegExp][] = [
        [
          throwing(1, () => new TypeError("x is\x1b[2J odd")),
          /^it cannot be used: TypeError: x is\\u001b\[2J odd$/,
        ],
        [throwing(1, ours), /^it cannot be used: KW-TENSOR-SHAPE: odd$/],
        [throwing(1, () => "a word"), /^it cannot be used: a word$/],
        [throwing(4, ours), /^it cannot be used: KW-TENSOR-SHAPE/], // outliers and tiny values
        [throwing(12, ours), /^it cannot be used: KW-TENSOR-SHAPE/], // its time
        [WritesLater, /^it cannot be used: KW-KERNEL-WRITES/],
      ];
      for (const [cls, why] of cases) {
        for (const order of [[cls, RightNorm], [RightNorm, cls]]) {
          const { tensors } = memory();
          const plain = await output(model, x);
          const report = await kernelize(model, several(...order), { verify: { inputs: [x] } });
          assertEquals(report.swapped.map((s) => s.kernel), NORMS.map(() => "RightNorm"), String(why));
          for (const { considered } of report.swapped) {
            assertMatch(considered.find((c) => !c.taken)!.why, why);
          }
          unkernelize(model);
          assertEquals([memory().tensors, await output(model, x)], [tensors, plain]);
        }
      }
    }));

  it("are an error where each of them throws, or is cancelled", () =>
    measured(async (model, x) => {
      const { tensors } = memory();
      const one = throwing(1, () => new TypeError("one"));
      await assertRejects(
        () => kernelize(model, several(one, one), { verify: { inputs: [x] } }),
        TypeError,
        "one",
      );
      const stop = new AbortController();
      const cancels = throwing(1, () => {
        stop.abort();
        return new KernelwrightError({ code: "KW-ABORTED", what: "cancelled", where: {} });
      });
      const verify = { inputs: [x], signal: stop.signal };
      await assertRejects(
        () => kernelize(model, several(cancels, RightNorm), { verify }),
        Error,
        "KW-ABORTED",
      );
      assertEquals(memory().tensors, tensors);
    }));

  it("do not include what does not fit, and leave nothing behind", () =>
    measured(async (model, x) => {
      const { tensors } = memory();
      const report = await kernelize(model, several(SlowNorm, Never, RightNorm), { verify: { inputs: [x] } });
      assert(told(report)[0][2]!.includes("-Never: it never fits"));
      assertEquals(memory().tensors, tensors);
    }));

  it("all give way to an original that is faster, where that is wanted", () =>
    measured(async (model, x) => {
      const verify = { inputs: [x], onSlower: "fallback" } as const;
      const report = await kernelize(model, several(SlowNorm, AlsoSlow), { verify });
      assertEquals(report.swapped, []);
      for (const { reason, considered } of report.sites) {
        assert(/^(SlowNorm|AlsoSlow) takes [\d.]+× the original's time$/.test(reason), reason);
        assertEquals(considered.map((c) => c.taken), [false, false]);
      }
    }));

  it("are fusions, too: the losers' layouts leave nothing, and the weights come back", () =>
    measured(async () => {
      using model = fill(new Stack(), "webgpu");
      using x = Tensor.from(Float32Array.from({ length: 48 }, (_, i) => Math.sin(i)), { shape: [2, 3, 8] });
      const parts: FusePart[] = [["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]];
      const plain = await outputOf(model, [2, 3, 8], "webgpu");
      await leavesUnchanged(model, async () => {
        const { tensors } = memory();
        const report = await kernelize(model, {
          kernels: [fuse(parts, [{ kernel: NormMLP }, { kernel: SlowNormMLP }])],
        }, { verify: { inputs: [x] } });
        assertEquals(report.swapped.map((s) => s.kernel), ["NormMLP", "NormMLP"]);
        const swapped = await outputOf(model, [2, 3, 8], "webgpu");
        assert(swapped.every((v, i) => Math.abs(v - plain[i]) < 1e-5));
        unkernelize(model);
        assertEquals(memory().tensors, tensors);
      });
    }));

  it("are not measured unless asked: the later one is taken, and the tie is said", async () => {
    for (const verify of [undefined, { inputs: [] as unknown[], time: false }]) {
      using model = filled();
      using x = input();
      if (verify) verify.inputs.push(x);
      const report = await kernelize(model, several(RightNorm, SlowNorm), { verify });
      assertEquals(told(report)[0], [NORMS[0], "SlowNorm", [
        "+SlowNorm: it is the kernel of the entry",
        "-RightNorm: SlowNorm fits equally well and is given later",
      ]]);
      unkernelize(model);
    }
  });
});
