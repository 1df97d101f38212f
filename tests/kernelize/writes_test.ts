/** A kernel that writes what it did not make is refused, unless it says so and nobody is harmed by it. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  dispatch,
  kernel,
  type KernelClass,
  kernelize,
  KernelwrightError,
  Layout,
  layout,
  memory,
  Module,
  type Parameter,
  parameter,
  record,
  rename,
  replaces,
  shader,
  Tensor,
  unkernelize,
} from "@kernelwright/sdk";
import { add, mul, rmsNorm } from "@kernelwright/sdk/ops";
import { fuse, fuseParallel, replace } from "@kernelwright/sdk/config";
import { planKernelize } from "@kernelwright/sdk/inspect";
import { layer, RMSNorm } from "@kernelwright/sdk/nn";
import { checkKernel } from "@kernelwright/sdk/testing";
import { advance, cacheWrite, relu } from "../../sdk/ops/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { Block, Mixer, NormMLP, QKV, Stack, WIDTH } from "./fixtures.ts";
import { fill, outputOf } from "./unchanged.ts";

gpuForFile();

// Only where it is wanted: not every driver takes it.
const PUT = "fn put(p: ptr<storage, array<f32>, read_write>, i: u32) { (*p)[i] = 1.0; }";

/** A shader with the body of a loop over i; it binds all three for writing. */
function loop(body: string) {
  return shader({
    name: "loop.wgsl",
    code: `
      @group(0) @binding(0) var<storage, read_write> x: array<f32>;
      @group(0) @binding(1) var<storage, read_write> w: array<f32>;
      @group(0) @binding(2) var<storage, read_write> out: array<f32>;
      ${body.includes("put(") ? PUT : ""}
      @compute @workgroup_size(1) fn main() {
        for (var i = 0u; i < arrayLength(&out); i++) { ${body}
        }
      }`,
  });
}

const site = replaces(RMSNorm);

@layout({ site, conversions: [rename("weight", "scale")] })
class NormLayout extends Layout {
  scale: Parameter;
  constructor(hidden_size: number, readonly eps = 1e-6) {
    super();
    this.scale = parameter([hidden_size]);
  }
}

type Writes = (this: NormLayout, x: Tensor) => unknown;

/** A kernel for RMSNorm that runs a shader on its input, or a view of it. */
function norm(body: string, view: (t: Tensor) => Tensor = (t) => t, writes?: Writes): KernelClass {
  const code = loop(body);
  @kernel({ site, layout: NormLayout, ...(writes && { writes }) })
  class WritingNorm {
    forward(this: NormLayout, x: Tensor): Tensor {
      const out = rmsNorm(x, this.scale, this.eps);
      const copy = Tensor.empty(x.shape);
      dispatch(code, { x: view(x), w: view(this.scale), out: copy }, { workgroups: 1 });
      return out;
    }
  }
  return WritingNorm;
}

const flat = (t: Tensor) => t.reshape([t.size]);
const twice = (t: Tensor) => t.reshape([-1, 1]).reshape([t.size]);

async function refusal(cls: KernelClass, model: Module = new Stack(), name = "RMSNorm"): Promise<string> {
  const error = await assertRejects(
    () => kernelize(model, { kernels: [replace(name, cls)] }),
    KernelwrightError,
  );
  assertEquals(error.code, "KW-KERNEL-WRITES", error.message);
  return error.message;
}

describe("a kernel that writes its input", () => {
  it("is refused in every spelling of a write", async () => {
    for (
      const body of [
        "x[i] = 1.0;",
        "x[i] += w[0];",
        "x[ u32(w[i]) ]/* a comment */\n = 1.0;",
        "(x)[i] = 1.0;",
        "(x[i]) *= 2.0;",
        "let p = &x; (*p)[i] = 1.0;",
        "let p = &x[i]; *p = 1.0;",
        "let p = &(x[i]); *p = 1.0;",
        "put(&x, i);",
        "put( & x, i);",
      ]
    ) assertMatch(await refusal(norm(body)), /writes its argument 0 \(loop\.wgsl as "x"\)/, body);
  });

  it("is not refused for what it only reads", async () => {
    for (
      const body of [
        "out[i] = x[i];",
        "if (x[i] == w[0]) { out[i] = 1.0; }",
        "out[i] = x[arrayLength(&x) - 1u] + f32(x[i] >= 1.0); // x[i] = 1.0",
        "/* x[i] = 1.0; /* w[0] = 1.0; */ */ out[u32(x[i])] = 1.0;",
        "let y = select(0.0, 1.0, w[0] > 0.0 && x[i] <= 2.0); out[i] = y;",
      ]
    ) await planKernelize(new Stack(), { kernels: [replace("RMSNorm", norm(body))] });
  });

  it("is refused through views, on meta and with weights", async () => {
    for (const view of [flat, twice]) {
      await refusal(norm("x[i] = 1.0;", view));
      using model = fill(new Stack(), "webgpu");
      const before = memory();
      const plain = await outputOf(model, [2, 3, WIDTH], "webgpu");
      await refusal(norm("x[i] = 1.0;", view), model);
      assertMatch(await refusal(norm("w[i] = 1.0;", view), model), /writes its parameter "scale"/);
      assertEquals(await outputOf(model, [2, 3, WIDTH], "webgpu"), plain);
      assertEquals(memory().tensors, before.tensors);
    }
  });

  it("is refused through a view of what has values, before anything runs", async () => {
    const code = loop("x[i] = 1.0;");
    const own = (pick: (self: RMSNorm, x: Tensor) => Tensor): KernelClass => {
      @kernel({ site: replaces(RMSNorm) })
      class Own {
        forward(this: RMSNorm, x: Tensor): Tensor {
          const out = rmsNorm(x, this.weight, this.eps);
          dispatch(code, { x: twice(pick(this, x)), w: Tensor.empty(x.shape), out: Tensor.empty(x.shape) }, {
            workgroups: 1,
          });
          return out;
        }
      }
      return Own;
    };
    using model = fill(new Stack(), "webgpu");
    assertMatch(await refusal(own((self) => self.weight), model), /writes its parameter "weight"/);
    using x = Tensor.zeros([2, WIDTH]);
    using first = fill(new RMSNorm(WIDTH), "webgpu");
    const kernels = [replace("RMSNorm", own((_, x) => x))];
    const error = await assertRejects(
      () => planKernelize(first, { kernels }, { inputs: [x] }),
      KernelwrightError,
    );
    assertMatch(error.message, /writes its argument 0/);
  });

  it("is refused where a module inside does it, and where an operator does", async () => {
    class Inner extends Module {
      override forward(x: Tensor): Tensor {
        dispatch(loop("x[i] = 1.0;"), { x, w: Tensor.empty(x.shape), out: Tensor.empty(x.shape) }, {
          workgroups: 1,
        });
        return x;
      }
    }
    const inner = new Inner();
    @kernel({ site: replaces(RMSNorm) })
    class Nested {
      forward(this: RMSNorm, x: Tensor): Tensor {
        inner.call(x);
        return rmsNorm(x, this.weight, this.eps);
      }
    }
    await refusal(Nested);
    @kernel({ site: replaces(RMSNorm) })
    class InPlace {
      forward(this: RMSNorm, x: Tensor): Tensor {
        const view = x.reshape([1, x.size / WIDTH, 1, WIDTH]);
        cacheWrite(view, view, Tensor.zeros([1], { dtype: "i32" }));
        return rmsNorm(x, this.weight, this.eps);
      }
    }
    assertMatch(await refusal(InPlace), /\(cacheWrite\)/);
    @kernel({ site: replaces(RMSNorm) })
    class Assigns {
      forward(this: RMSNorm, x: Tensor): Tensor {
        const out = rmsNorm(x, this.weight, this.eps);
        this.weight.assign(Tensor.empty(this.weight.shape));
        return out;
      }
    }
    using model = fill(new Stack(), "webgpu");
    await refusal(Assigns, model);
    assert(model.norm.weight.materialized);
  });

  it("is refused when it is run, where no trace came by", async () => {
    class Unknown extends Module {
      norm = new RMSNorm(WIDTH);
      override forward(x: Tensor): Tensor {
        return this.norm.call(x);
      }
    }
    using model = fill(new Unknown(), "webgpu");
    await kernelize(model, { kernels: [replace("RMSNorm", norm("x[i] = 1.0;"))] });
    await assertRejects(() => outputOf(model, [2, WIDTH], "webgpu"), KernelwrightError, "KW-KERNEL-WRITES");
    unkernelize(model);
    await outputOf(model, [2, WIDTH], "webgpu");

    // A branch that the trace's shapes do not take.
    const code = loop("x[i] = 1.0;");
    @kernel({ site: replaces(RMSNorm) })
    class Sometimes {
      forward(this: RMSNorm, x: Tensor): Tensor {
        const out = rmsNorm(x, this.weight, this.eps);
        if (x.shape[0] === 1) {
          dispatch(code, { x, w: Tensor.empty(x.shape), out: Tensor.empty(x.shape) }, { workgroups: 1 });
        }
        return out;
      }
    }
    using stack = fill(new Stack(), "webgpu");
    await kernelize(stack, { kernels: [replace("RMSNorm", Sometimes)] });
    await outputOf(stack, [2, 3, WIDTH], "webgpu");
    await assertRejects(
      () => outputOf(stack, [1, 3, WIDTH], "webgpu"),
      KernelwrightError,
      "KW-KERNEL-WRITES",
    );
  });

  it("is taken where it says so and nobody reads the input afterwards", async () => {
    const writes: Writes = (x) => [{ x }];
    // The last norm's input is nobody else's.
    await planKernelize(new Stack(), {
      kernels: [replace("RMSNorm", norm("x[i] = 1.0;", flat, writes), { at: "norm" })],
    });
    class Residual extends Module {
      norm = new RMSNorm(WIDTH);
      override forward(x: Tensor): Tensor {
        return add(relu(x), this.norm.call(x));
      }
      exampleInputs(): unknown[][] {
        return [[Tensor.empty([2, WIDTH], { device: "meta" })]];
      }
    }
    const late = new class extends Residual {
      override forward(x: Tensor): Tensor {
        const y = this.norm.call(x);
        return add(relu(x), y);
      }
    }();
    const config = { kernels: [replace("RMSNorm", norm("x[i] = 1.0;", flat, writes))] };
    await planKernelize(new Residual(), config);
    const error = await assertRejects(() => planKernelize(late, config), KernelwrightError);
    assertEquals(error.code, "KW-TRACE-OVERWRITES", error.message);
    await planKernelize(new Stack(), {
      kernels: [replace(
        "RMSNorm",
        norm("w[i] = 1.0;", flat, function () {
          return this.scale;
        }),
      )],
    });
    assertMatch(await refusal(norm("w[i] = 1.0;", flat, writes)), /parameter "scale"/);
  });

  it("is told when its writes is not a function, or fails", async () => {
    assertMatch(
      await refusal(norm("x[i] = 1.0;", flat, () => {
        throw new TypeError("no");
      })),
      /The writes of WritingNorm failed: TypeError: no/,
    );
    try {
      norm("x[i] = 1.0;", flat, ["x"] as unknown as Writes);
      throw new Error("not refused");
    } catch (error) {
      assertEquals((error as KernelwrightError).code, "KW-KERNEL-OPTION");
    }
  });
});

/** Writes its second argument, as a layer writes its cache. */
@layer("Writer")
class Writer extends Module {
  override forward(x: Tensor, store: { readonly keys: readonly Tensor[] }): Tensor {
    cacheWrite(store.keys[1], x, Tensor.zeros([1], { dtype: "i32" }));
    return relu(x);
  }
}

class Store {
  keys = [0, 1].map(() => Tensor.zeros([1, 4, 1, 2], { device: "meta" }));
}

class WriterModel extends Module {
  writer = new Writer();
  override forward(x: Tensor, store: Store): Tensor {
    return this.writer.call(x, store);
  }
  exampleInputs(): unknown[][] {
    return [[Tensor.empty([1, 2, 1, 2], { device: "meta" }), new Store()]];
  }
}

function writer(at: number): KernelClass {
  @kernel({ site: replaces(Writer) })
  class WriterKernel {
    forward(this: Writer, x: Tensor, store: { readonly keys: readonly Tensor[] }): Tensor {
      cacheWrite(store.keys[at], x, Tensor.zeros([1], { dtype: "i32" }));
      return relu(x);
    }
  }
  return WriterKernel;
}

describe("what the originals write", () => {
  it("a kernel may write as well, and nothing beside it", async () => {
    await planKernelize(new WriterModel(), { kernels: [replace("Writer", writer(1))] });
    assertMatch(
      await refusal(writer(0), new WriterModel(), "Writer"),
      /writes "keys\.0" of its argument 1 \(cacheWrite\)/,
    );
  });
});

describe("a fusion", () => {
  const code = loop("x[i] = 2.0 * x[i];");
  const double = (x: Tensor) =>
    dispatch(code, { x, w: Tensor.empty([1]), out: Tensor.empty([1]) }, { workgroups: 1 });

  it("is refused where a dispatch writes over the value inside it, or its input between its parts", async () => {
    class Between extends Block {
      override forward(x: Tensor): Tensor {
        const y = this.norm.call(x);
        double(y);
        return add(x, this.mlp.call(y));
      }
    }
    class After extends Block {
      override forward(x: Tensor): Tensor {
        const y = this.norm.call(x);
        const z = this.mlp.call(y);
        double(y);
        return add(x, z);
      }
    }
    class Parallel extends Mixer {
      override forward(x: Tensor): Tensor {
        const q = this.q.call(x);
        double(x);
        return add(q, this.o.call(mul(this.k.call(x), this.v.call(x))));
      }
    }
    const chain = fuse(["RMSNorm", "LlamaMLP"], NormMLP);
    const parallel = fuseParallel(["q", "k", "v"].map((n) => ["Linear", `layers.*.${n}`] as const), QKV);
    for (
      const [make, entry, expected] of [
        [() => new Between(), chain, "KW-TRACE-ESCAPES"],
        [() => new After(), chain, "KW-TRACE-ESCAPES"],
        [() => new Parallel(), parallel, "KW-TRACE-BROKEN"],
      ] as const
    ) {
      const error = await assertRejects(
        () => planKernelize(new Stack(make), { kernels: [entry] }),
        KernelwrightError,
      );
      assertEquals(error.code, expected, error.message);
    }
  });
});

describe("the harness", () => {
  it("says that an input is written as kernelize does, also where its values stay", async () => {
    const failed = await checkKernel(norm("x[i] = x[i];"), {
      shapes: [{ batch: 1, tokens: 2, width: 4 }],
      runs: 1,
    });
    assertEquals([...failed.keys()], ["inputs and weights left unchanged"]);
    assertMatch(String(failed.get("inputs and weights left unchanged")), /writes its argument 0/);
  });
});

/** Writes its cache behind what is there, and says how far it is. */
@layer("Appender")
class Appender extends Module {
  override forward(x: Tensor, store: Memory): Tensor {
    cacheWrite(store.keys, x, store.position);
    advance(store.position, 1);
    return relu(x);
  }
}

class Memory {
  readonly keys: Tensor;
  readonly position: Tensor;
  constructor(device: "meta" | "webgpu") {
    this.keys = Tensor.zeros([1, 4, 1, 2], { device });
    this.position = Tensor.zeros([1], { dtype: "i32", device });
  }
}

class AppenderModel extends Module {
  appender = new Appender();
  override forward(x: Tensor, store: Memory): Tensor {
    return this.appender.call(x, store);
  }
  exampleInputs(): unknown[][] {
    return [[Tensor.empty([1, 1, 1, 2], { device: "meta" }), new Memory("meta")]];
  }
}

function appender(write: (x: Tensor, store: Memory) => void): KernelClass {
  @kernel({ site: replaces(Appender) })
  class AppenderKernel {
    forward(this: Appender, x: Tensor, store: Memory): Tensor {
      write(x, store);
      return relu(x);
    }
  }
  return AppenderKernel;
}

describe("a captured plan that a kernel replays", () => {
  it("writes what the kernel may write, and nothing else", async () => {
    const code = loop("x[i] = x[i] * 1.0;");
    using model = fill(new Stack(), "webgpu");
    using other = Tensor.zeros([WIDTH]);
    using scratch = Tensor.zeros([WIDTH]);
    const plain = await outputOf(model, [2, 3, WIDTH], "webgpu");
    for (
      const [target, place, at] of [
        [model.norm.weight, 'its parameter "weight"', "norm"],
        [other, "memory that it neither made nor was given", "norm"],
        [undefined, "", "norm"],
      ] as const
    ) {
      using plan = record(() => {
        const x = target ?? Tensor.empty([WIDTH]);
        dispatch(code, { x, w: scratch, out: Tensor.empty([WIDTH]) }, { workgroups: 1 });
      });
      let replays = false;
      @kernel({ site: replaces(RMSNorm) })
      class Replaying {
        forward(this: RMSNorm, x: Tensor): Tensor {
          if (replays) plan.replay();
          return rmsNorm(x, this.weight, this.eps);
        }
      }
      await kernelize(model, { kernels: [replace("RMSNorm", Replaying, { at })] });
      replays = true;
      const run = () => outputOf(model, [2, 3, WIDTH], "webgpu");
      if (target) {
        const error = await assertRejects(run, KernelwrightError);
        assertEquals(error.code, "KW-KERNEL-WRITES", error.message);
        assertMatch(error.message, /loop\.wgsl as "x", in a captured plan/);
        assert(error.message.includes(place), error.message);
      } else assertEquals(await run(), plain);
      unkernelize(model);
    }
    assertEquals(await outputOf(model, [2, 3, WIDTH], "webgpu"), plain);
  });
});

describe("what a kernel leaves in a cache", () => {
  const right = (x: Tensor, store: Memory) => {
    cacheWrite(store.keys, x, store.position);
    advance(store.position, 1);
  };
  const cases: [string, (x: Tensor, store: Memory) => void, RegExp | undefined][] = [
    ["what the original leaves", right, undefined],
    [
      "nothing",
      (_, s) => advance(s.position, 1),
      /it does not write "keys" of its argument 1, and is off by 3\.00/,
    ],
    [
      "another value",
      (x, s) => right(mul(x, x), s),
      /it writes "keys" of its argument 1, and is off by 6\.00/,
    ],
    ["it, and forgets to go on", (x, s) => cacheWrite(s.keys, x, s.position), /it does not write "position"/],
    [
      "it, and goes on twice",
      (x, s) => {
        right(x, s);
        advance(s.position, 1);
      },
      /it writes "position" of its argument 1, and is off by 1\.00/,
    ],
    [
      "it in another place",
      (x, s) => {
        advance(s.position, 1);
        cacheWrite(s.keys, x, s.position);
      },
      /it writes "keys" of its argument 1/,
    ],
  ];
  for (const [what, write, why] of cases) {
    it(`is ${why ? "refused" : "right"} where it is ${what}`, async () => {
      using model = new AppenderModel();
      const x = Tensor.from([2, 3], { shape: [1, 1, 1, 2] });
      const store = new Memory("webgpu");
      const { tensors } = memory();
      const config = { kernels: [replace("Appender", appender(write))] };
      const run = () => kernelize(model, config, { verify: { inputs: [x, store] } });
      if (why) {
        const error = await assertRejects(run, KernelwrightError);
        assertEquals(error.code, "KW-VERIFY", error.message);
        assertMatch(error.message, why);
        await kernelize(model, config, { verify: { inputs: [x, store], onFail: "fallback" } });
      } else {
        await run();
        assertEquals([...await store.keys.data()].slice(0, 2), [2, 3]);
      }
      unkernelize(model);
      assertEquals(memory().tensors, tensors);
      for (const t of [x, store.keys, store.position]) t.dispose();
    });
  }
});
