/** The harness holds every value that a tuned constant may take against what is right, not only the default. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { dispatch, kernel, openGpu, replaces, shader, Tensor, tuned } from "@kernelwright/sdk";
import { SiLU } from "@kernelwright/sdk/nn";
import { checksOf } from "../../sdk/testing/checks.ts";
import { Subject } from "../../sdk/testing/subject.ts";
import { testKernel } from "../../sdk/testing/mod.ts";

const site = replaces(SiLU);

// LOW belongs to the values, EDGE to the bound: both are right only at 0.
const silu = shader({
  name: "tuned_silu.wgsl",
  code: `
override TILE: u32;
override LOW: u32;
override EDGE: u32;
struct Params { size: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;
@compute @workgroup_size(TILE) fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i >= params.size + EDGE) { return; }
  out[i] = x[i] / (1.0 + exp(-x[i])) - f32(LOW);
}`,
});

function run(x: Tensor, { TILE, LOW, EDGE }: Record<"TILE" | "LOW" | "EDGE", number>): Tensor {
  const out = Tensor.empty(x.shape);
  dispatch(silu, { x, out, params: { size: x.size } }, {
    workgroups: Math.ceil(x.size / TILE),
    constants: { TILE, LOW, EDGE },
  });
  return out;
}

@kernel({ site, tune: { TILE: [32, 64, 1 << 20] } })
class Right {
  forward(this: SiLU, x: Tensor): Tensor {
    return run(x, { ...tuned({ TILE: 32 }), LOW: 0, EDGE: 0 });
  }
}

@kernel({ site, tune: { TILE: [32, 64], LOW: [0, 1] } })
class WrongNumbers {
  forward(this: SiLU, x: Tensor): Tensor {
    return run(x, { ...tuned({ TILE: 32, LOW: 0 }), EDGE: 0 });
  }
}

@kernel({ site, tune: { EDGE: [0, 1] } })
class WrongEdge {
  forward(this: SiLU, x: Tensor): Tensor {
    return run(x, { TILE: 32, LOW: 0, ...tuned({ EDGE: 0 }) });
  }
}

// None of the sizes that are always tried: those are 198, 1, 1024, 2210 and 105 values.
@kernel({ site, tune: { TILE: [32, 64] } })
class WrongSize {
  forward(this: SiLU, x: Tensor): Tensor {
    const { TILE } = tuned({ TILE: 32 });
    return run(x, { TILE, LOW: TILE === 64 && x.size % 8 === 4 ? 1 : 0, EDGE: 0 });
  }
}

@kernel({ site, tune: { TILE: [32, 64] } })
class Fails {
  forward(this: SiLU, x: Tensor): Tensor {
    const { TILE } = tuned({ TILE: 32 });
    if (TILE === 64) throw new TypeError("never tried");
    return run(x, { TILE, LOW: 0, EDGE: 0 });
  }
}

// Also where one candidate is beyond what the adapter can do.
testKernel(Right);

describe({
  name: "the check of every tuned constant",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () => {
    const failure = async (cls: typeof Right): Promise<Error> => {
      await openGpu();
      const checks = checksOf(new Subject(cls, {}));
      const others = checks.filter((c) => c.name.startsWith("parity"));
      for (const c of others) await c.run("f32"); // the defaults are right
      const check = checks.find((c) => c.name === "every tuned constant")!;
      const error = await check.run("f32").then(() => undefined, (e) => e);
      assert(error !== undefined, "it was not caught");
      return error;
    };

    it("catches a value with which the kernel computes something else", async () => {
      const error = await failure(WrongNumbers);
      assertMatch(error.message, /KW-TEST-CHECK[^]*too far off[^]*tuned to \{ TILE: 32, LOW: 1 \}/);
    });

    it("catches a value with which it writes behind its tensor", async () => {
      assertMatch((await failure(WrongEdge)).message, /wrote behind the end[^]*tuned to \{ EDGE: 1 \}/);
    });

    it("catches a value with which it is wrong for some sizes only, and shows the smallest", async () => {
      const { message } = await failure(WrongSize);
      assertMatch(message, /tuned to \{ TILE: 64 \}[^]*the smallest sizes that fail/);
    });

    it("catches a value with which forward throws, other than for the adapter's limits", async () => {
      assertEquals((await failure(Fails)).message, "never tried");
    });

    it("is there for kernels with a tune only", () => {
      @kernel({ site })
      class Plain {
        forward(this: SiLU, x: Tensor): Tensor {
          return run(x, { TILE: 32, LOW: 0, EDGE: 0 });
        }
      }
      const names = checksOf(new Subject(Plain, {})).map((c) => c.name);
      assertEquals(names.includes("every tuned constant"), false);
    });
  },
});
