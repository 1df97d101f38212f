/** Wirings that a fusion would break: the trace on meta refuses each by name, and leaves the model as it was. */
import { describe, it } from "@std/testing/bdd";
import { kernelize, Tensor } from "@kernelwright/sdk";
import { add, scale } from "@kernelwright/sdk/ops";
import { fuse } from "@kernelwright/sdk/config";
import { Linear, LlamaMLP, Module, RMSNorm } from "@kernelwright/sdk/nn";
import { assertRefusedLater } from "../helpers/refused.ts";
import { Block, NormMLP, Stack, WIDTH } from "./fixtures.ts";
import { fill, leavesUnchanged } from "./unchanged.ts";

const chain = fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], NormMLP);

type Forward = (b: Parts, x: Tensor) => Tensor;

/** The parts of a block, wired as a test says. */
class Parts extends Module {
  norm = new RMSNorm(WIDTH);
  attn = new Linear(WIDTH, WIDTH);
  mlp = new LlamaMLP(WIDTH, 12);
  ignores = new Ignores();
  log: Tensor[] = [];
  byName = new Map<string, Tensor>();
  state: { last?: Tensor } = {};
  last?: Tensor;
  #wiring: Forward;
  constructor(wiring: Forward) {
    super();
    this.#wiring = wiring;
  }
  override forward(x: Tensor): Tensor {
    return this.#wiring(this, x);
  }
}
/** Is handed something, and does not look. */
class Ignores extends Module {
  override forward(x: Tensor, _other: Tensor): Tensor {
    return x;
  }
}

async function refuses(
  wiring: Forward,
  message: string,
  model = new Stack(() => new Parts(wiring)),
): Promise<void> {
  fill(model);
  await leavesUnchanged(
    model,
    () => assertRefusedLater(() => kernelize(model, { kernels: [chain] }), message),
  );
}

describe("a value between the parts of a chain must not be", () => {
  it("read by another module: attention and MLP in parallel, from one norm", () =>
    refuses(
      (b, x) => {
        const normed = b.norm.call(x);
        return add(x, add(b.attn.call(normed), b.mlp.call(normed)));
      },
      `
      KW-TRACE-ESCAPES  NormMLP at "layers.0.norm"
        Cannot fuse "layers.0.norm" with "layers.0.mlp": the value between them is also read by "layers.0.attn"
        What stands between belongs to the fusion then: replace the parent, Parts, with one kernel.`,
    ));

  it("read by an operator of the parent", () =>
    refuses(
      (b, x) => {
        const normed = b.norm.call(x);
        return add(normed, b.mlp.call(normed));
      },
      `
      KW-TRACE-ESCAPES  NormMLP at "layers.0.norm"
        Cannot fuse "layers.0.norm" with "layers.0.mlp": the value between them is also read by add in the forward of Parts
        What stands between belongs to the fusion then: replace the parent, Parts, with one kernel.`,
    ));

  it("read under another shape", () =>
    refuses(
      (b, x) => {
        const normed = b.norm.call(x);
        const rows = normed.reshape([6, WIDTH]);
        return add(scale(rows, 2).reshape(x.shape), b.mlp.call(normed));
      },
      `
      KW-TRACE-ESCAPES  NormMLP at "layers.0.norm"
        Cannot fuse "layers.0.norm" with "layers.0.mlp": the value between them is also read by reshape in the forward of Parts
        What stands between belongs to the fusion then: replace the parent, Parts, with one kernel.`,
    ));

  it("handed to a module that ignores it", () =>
    refuses(
      (b, x) => {
        const normed = b.norm.call(x);
        return b.ignores.call(b.mlp.call(normed), normed);
      },
      `
      KW-TRACE-ESCAPES  NormMLP at "layers.0.norm"
        Cannot fuse "layers.0.norm" with "layers.0.mlp": the value between them is also handed to "layers.0.ignores"
        What stands between belongs to the fusion then: replace the parent, Parts, with one kernel.`,
    ));

  it("stored in a property", () =>
    refuses(
      (b, x) => {
        b.last = b.norm.call(x);
        return b.mlp.call(b.last);
      },
      `
      KW-TRACE-ESCAPES  NormMLP at "layers.0.norm"
        Cannot fuse "layers.0.norm" with "layers.0.mlp": the value between them is also stored as "layers.0.last"
        What stands between belongs to the fusion then: replace the parent, Parts, with one kernel.`,
    ));

  it("pushed into an array", () =>
    refuses(
      (b, x) => {
        b.log.push(b.norm.call(x));
        return b.mlp.call(b.log.at(-1)!);
      },
      `
      KW-TRACE-ESCAPES  NormMLP at "layers.0.norm"
        Cannot fuse "layers.0.norm" with "layers.0.mlp": the value between them is also stored as "layers.0.log"
        What stands between belongs to the fusion then: replace the parent, Parts, with one kernel.`,
    ));

  it("put into a map", () =>
    refuses(
      (b, x) => {
        b.byName.set("last", b.norm.call(x));
        return b.mlp.call(b.byName.get("last")!);
      },
      `
      KW-TRACE-ESCAPES  NormMLP at "layers.0.norm"
        Cannot fuse "layers.0.norm" with "layers.0.mlp": the value between them is also stored as "layers.0.byName"
        What stands between belongs to the fusion then: replace the parent, Parts, with one kernel.`,
    ));

  it("put into an object that was there", () =>
    refuses(
      (b, x) => {
        b.state.last = b.norm.call(x);
        return b.mlp.call(b.state.last);
      },
      `
      KW-TRACE-ESCAPES  NormMLP at "layers.0.norm"
        Cannot fuse "layers.0.norm" with "layers.0.mlp": the value between them is also stored as "layers.0.state"
        What stands between belongs to the fusion then: replace the parent, Parts, with one kernel.`,
    ));

  it("returned beside the result", async () => {
    class Both extends Module {
      norm = new RMSNorm(WIDTH);
      mlp = new LlamaMLP(WIDTH, 12);
      override forward(x: Tensor): [Tensor, Tensor] {
        const normed = this.norm.call(x);
        return [this.mlp.call(normed), normed];
      }
    }
    class First extends Module {
      both = new Both();
      override forward(x: Tensor): Tensor {
        return this.both.call(x)[0];
      }
    }
    const model = fill(new Stack(() => new First()));
    const entry = fuse([["RMSNorm", "layers.*.both.norm"], ["LlamaMLP", "layers.*.both.mlp"]], NormMLP);
    await leavesUnchanged(model, () =>
      assertRefusedLater(
        () => kernelize(model, { kernels: [entry] }),
        `
      KW-TRACE-ESCAPES  NormMLP at "layers.0.both.norm"
        Cannot fuse "layers.0.both.norm" with "layers.0.both.mlp": the value between them is also returned by Both
        What stands between belongs to the fusion then: replace the parent, Both, with one kernel.`,
      ));
  });

  it("left in an object that the model was given", async () => {
    class Leaves extends Module {
      norm = new RMSNorm(WIDTH);
      mlp = new LlamaMLP(WIDTH, 12);
      override forward(x: Tensor, out: { hidden?: Tensor }): Tensor {
        out.hidden = this.norm.call(x);
        return this.mlp.call(out.hidden);
      }
    }
    class Root extends Module {
      block = new Leaves();
      override forward(x: Tensor, out: { hidden?: Tensor }): Tensor {
        return this.block.call(x, out);
      }
    }
    const model = fill(new Root());
    const given = {};
    const inputs = [Tensor.empty([2, WIDTH], { device: "meta" }), given];
    const kernels = [fuse(["RMSNorm", "LlamaMLP"], NormMLP)];
    await leavesUnchanged(model, () =>
      assertRefusedLater(
        () => kernelize(model, { kernels }, { inputs }),
        `
      KW-TRACE-ESCAPES  NormMLP at "block.norm"
        Cannot fuse "block.norm" with "block.mlp": the value between them is also put into an argument of the model
        What stands between belongs to the fusion then: replace the parent, Leaves, with one kernel.`,
      ));
    if (Object.keys(given).length > 0) throw new Error("the trace left something in its input");
  });
});

describe("the parts of a chain must", () => {
  it("run in their order", () =>
    refuses(
      (b, x) => b.norm.call(b.mlp.call(x)),
      `
    KW-TRACE-ORDER  NormMLP at "layers.0.norm"
      Cannot fuse: "layers.0.mlp" runs before "layers.0.norm"
      Name the parts in the order in which they run.`,
    ));

  it("run once", () =>
    refuses(
      (b, x) => b.mlp.call(b.norm.call(b.norm.call(x))),
      `
    KW-TRACE-REPEATS  NormMLP at "layers.0.norm"
      Cannot fuse: "layers.0.norm" runs 2 times
      A fused part runs once in each forward of its parent.`,
    ));

  it("run at all", () =>
    refuses(
      (b, x) => b.norm.call(x),
      `
    KW-TRACE-NOT-RUN  NormMLP at "layers.0.mlp"
      Cannot fuse: "layers.0.mlp" was not run by the forward of Parts
      Its parent must run it with call(); narrow the pattern to the layers where it does.`,
    ));

  it("be wired so in every layer: one that differs by its index is found", () =>
    refuses(
      () => unreachable(),
      `
      KW-TRACE-ESCAPES  NormMLP at "layers.1.norm"
        Cannot fuse "layers.1.norm" with "layers.1.mlp": the value between them is also read by add in the forward of Parts
        What stands between belongs to the fusion then: replace the parent, Parts, with one kernel.`,
      new Stack((i) =>
        new Parts((b, x) => {
          const normed = b.norm.call(x);
          return i === 1 ? add(normed, b.mlp.call(normed)) : b.mlp.call(normed);
        })
      ),
    ));

  it("have nothing between them: a residual belongs to a fusion of the parent", () =>
    refuses(
      (b, x) => b.mlp.call(add(x, b.norm.call(x))),
      `
      KW-TRACE-BROKEN  NormMLP at "layers.0.norm"
        Cannot fuse: "layers.0.mlp" is not fed by "layers.0.norm"; its result first goes through add in the forward of Parts
        What stands between belongs to the fusion then: replace the parent, Parts, with one kernel.`,
    ));

  it("be fed by each other", () =>
    refuses(
      (b, x) => {
        b.norm.call(x);
        return b.mlp.call(x);
      },
      `
      KW-TRACE-BROKEN  NormMLP at "layers.0.norm"
        Cannot fuse: "layers.0.mlp" is not fed by "layers.0.norm"
        What stands between belongs to the fusion then: replace the parent, Parts, with one kernel.`,
    ));

  it("take one value: a second argument would be lost", async () => {
    class Two extends Module {
      norm = new RMSNorm(WIDTH);
      mlp = new LlamaMLP(WIDTH, 12);
      override forward(x: Tensor): Tensor {
        return (this.mlp as unknown as Ignores).call(this.norm.call(x), x);
      }
    }
    const model = fill(new Stack(() => new Two()));
    await leavesUnchanged(model, () =>
      assertRefusedLater(
        () => kernelize(model, { kernels: [chain] }),
        `
      KW-TRACE-ARGUMENTS  NormMLP at "layers.0.norm"
        Cannot fuse: "layers.0.mlp" takes more than the result of "layers.0.norm"
        What stands between belongs to the fusion then: replace the parent, Two, with one kernel.`,
      ));
  });

  it("be run by their parent", async () => {
    class Lends extends Module {
      norm = new RMSNorm(WIDTH);
      mlp = new LlamaMLP(WIDTH, 12);
      runner = new Runner();
      override forward(x: Tensor): Tensor {
        return this.runner.call(x, () => this.mlp.call(this.norm.call(x)));
      }
    }
    class Runner extends Module {
      override forward(_x: Tensor, fn: () => Tensor): Tensor {
        return fn();
      }
    }
    const model = fill(new Stack(() => new Lends()));
    await leavesUnchanged(model, () =>
      assertRefusedLater(
        () => kernelize(model, { kernels: [chain] }),
        `
      KW-TRACE-CALLER  NormMLP at "layers.0.norm"
        Cannot fuse: "layers.0.norm" is run by "layers.0.runner", not by its parent
        Run it with call() in the forward of Lends, or replace Lends with one kernel.`,
      ));
  });
});

describe("the trace refuses", () => {
  it("a fusion whose model says not how it is run", async () => {
    class Silent extends Module {
      block = new Block();
      override forward(x: Tensor): Tensor {
        return this.block.call(x);
      }
    }
    const kernels = [fuse(["RMSNorm", "LlamaMLP"], NormMLP)];
    const model = fill(new Silent());
    await leavesUnchanged(model, () =>
      assertRefusedLater(
        () => kernelize(model, { kernels }),
        `
      KW-TRACE-INPUTS  NormMLP at "block.norm"
        A fusion is proven by running the model once on meta, and its inputs are not known
        Pass { inputs: […] } to kernelize, or give the model an exampleInputs() method.`,
      ));
  });

  it("a forward that looks at values", () =>
    refuses(
      (b, x) => {
        const values = (x as unknown as { values: number[] }).values;
        return values[0] > 0 ? b.mlp.call(b.norm.call(x)) : x;
      },
      `
      KW-TRACE-FORWARD  at "layers.0"
        The forward of Parts failed on meta: TypeError: Cannot read properties of undefined (reading '0')
        A forward must not look at values or at the host's state.`,
    ));
});

function unreachable(): never {
  throw new Error("not run");
}
