/** For any tree and any config: kernelize, then unkernelize, is the identity on objects, parameters and outputs. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { kernelize, KernelwrightError, Tensor, unkernelize } from "@kernelwright/sdk";
import { add, mul } from "@kernelwright/sdk/ops";
import { disable, fuse, fuseParallel, type KernelEntry, replace } from "@kernelwright/sdk/config";
import { Linear, LlamaMLP, Module, ModuleList, RMSNorm } from "@kernelwright/sdk/nn";
import { Block, Mixer, Norm, NormForward, NormMLP, QKV, WIDTH } from "./fixtures.ts";
import { fill, leavesUnchanged, outputOf } from "./unchanged.ts";

type Layer = Module & { forward(x: Tensor): Tensor };

/** Modules one after the other, to any depth. */
class Sequence extends Module {
  steps: ModuleList<Layer>;
  constructor(steps: readonly Layer[]) {
    super();
    this.steps = new ModuleList(steps);
  }
  override forward(x: Tensor): Tensor {
    for (const step of this.steps) x = step.call(x);
    return x;
  }
}
/** Two branches of one value. */
class Branches extends Module {
  constructor(readonly left: Layer, readonly right: Layer) {
    super();
  }
  override forward(x: Tensor): Tensor {
    return add(this.left.call(x), mul(x, this.right.call(x)));
  }
}
/** Norm and MLP whose value between escapes. */
class Parallel extends Block {
  attn = new Linear(WIDTH, WIDTH);
  override forward(x: Tensor): Tensor {
    const normed = this.norm.call(x);
    return add(this.attn.call(normed), this.mlp.call(normed));
  }
}
class Root extends Module {
  constructor(readonly body: Layer) {
    super();
  }
  override forward(x: Tensor): Tensor {
    return this.body.call(x);
  }
  exampleInputs(): unknown[][] {
    return [[Tensor.empty([2, WIDTH], { device: "meta" })]];
  }
}

const { body } = fc.letrec<{ body: () => Layer; leaf: () => Layer }>((tie) => ({
  leaf: fc.constantFrom<() => Layer>(
    () => new RMSNorm(WIDTH),
    () => new Linear(WIDTH, WIDTH),
    () => new LlamaMLP(WIDTH, 4),
    () => new LlamaMLP(WIDTH, 4, "gelu"),
    () => new Block(),
    () => new Block("gelu"),
    () => new Mixer(),
    () => new Parallel(),
  ),
  body: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("leaf"),
    fc.array(tie("body"), { minLength: 1, maxLength: 3 }).map((all) => () =>
      new Sequence(all.map((make) => make()))
    ),
    fc.tuple(tie("body"), tie("body")).map(([a, b]) => () => new Branches(a(), b())),
  ),
}));

/** An entry for a given tree: which kind, and which of the places that it could be for. */
interface Wish {
  readonly kind: "norm" | "norm without layout" | "disable" | "chain" | "chains" | "siblings";
  readonly everywhere: boolean;
  readonly pick: number;
}
const wish: fc.Arbitrary<Wish> = fc.record({
  kind: fc.constantFrom("norm", "norm without layout", "disable", "chain", "chains", "siblings"),
  everywhere: fc.boolean(),
  pick: fc.nat(20),
});

/** The entry that a wish comes to; undefined where the tree has no place for it. */
function entryFor(model: Module, { kind, everywhere, pick }: Wish): KernelEntry | undefined {
  const modules = [...model.namedModules()];
  const place = (is: (m: Module) => boolean) => {
    const found = modules.filter(([, m]) => is(m)).map(([path]) => path);
    return found.length === 0 ? undefined : found[pick % found.length];
  };
  if (kind === "chains") {
    return modules.some(([, m]) => m instanceof Block) ? fuse(["RMSNorm", "LlamaMLP"], NormMLP) : undefined;
  }
  if (kind === "chain") {
    const block = place((m) => m instanceof Block);
    return block === undefined
      ? undefined
      : fuse([["RMSNorm", `${block}.norm`], ["LlamaMLP", `${block}.mlp`]], NormMLP);
  }
  if (kind === "siblings") {
    const mixer = place((m) => m instanceof Mixer);
    return mixer === undefined
      ? undefined
      : fuseParallel(["q", "k", "v"].map((k) => ["Linear", `${mixer}.${k}`] as const), QKV);
  }
  const at = place((m) => m instanceof RMSNorm);
  if (at === undefined) return undefined;
  const where = everywhere ? {} : { at };
  if (kind === "disable") return disable("RMSNorm", where);
  return replace("RMSNorm", kind === "norm" ? Norm : NormForward, where);
}

describe("kernelize, then unkernelize,", () => {
  it("is the identity, and so is a kernelize that fails", async () => {
    let [swapped, failed] = [0, 0];
    await fc.assert(
      fc.asyncProperty(
        body,
        fc.array(fc.array(wish, { maxLength: 4 }), { maxLength: 3 }),
        async (make, wishes) => {
          const model = fill(new Root(make()));
          // Before anything is swapped: then the paths are those of the originals.
          const configs = wishes.map((w) =>
            w.map((one) => entryFor(model, one)).filter((e) => e !== undefined)
          );
          const plain = await outputOf(model, [2, WIDTH]);
          await leavesUnchanged(model, async () => {
            for (const kernels of configs) {
              const error = await kernelize(model, { kernels }).then((report) => {
                swapped += report.swapped.length;
              }, (e) => e);
              // Only what a config can do wrong: a mistake of ours would be another error.
              if (error) {
                assert(
                  error instanceof KernelwrightError && /^KW-(MATCH|TRACE)/.test(error.code),
                  String(error),
                );
              }
              if (error) failed++;
              const output = await outputOf(model, [2, WIDTH]);
              const off = Math.max(
                // Gated products square what they get: deep trees reach infinity, which is equal to itself.
                ...output.map((v, i) =>
                  Object.is(v, plain[i]) ? 0 : Math.abs(v - plain[i]) / (1 + Math.abs(plain[i]))
                ),
              );
              assert(off < 1e-9, `off by ${off}`);
            }
            unkernelize(model);
          });
          assertEquals(await outputOf(model, [2, WIDTH]), plain);
        },
      ),
      { numRuns: 300 },
    );
    // The trees and configs must meet often enough to mean something.
    assert(swapped > 50 && failed > 5, `${swapped} sites swapped, ${failed} configs refused`);
  });
});
