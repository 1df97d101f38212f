/** One parameter, several modules, and layouts that stand for some or all of them: its bytes come back. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  convert,
  fuses,
  kernel,
  type KernelConfig,
  kernelize,
  KernelwrightError,
  Layout,
  layout,
  memory,
  Module,
  type Parameter,
  parameter,
  rename,
  replaces,
  Tensor,
  transpose,
  unkernelize,
} from "@kernelwright/sdk";
import { matmul, rmsNorm } from "@kernelwright/sdk/ops";
import { fuse, replace } from "@kernelwright/sdk/config";
import { Linear, RMSNorm } from "@kernelwright/sdk/nn";
import { loadCheckpoint, openCheckpoint, saveCheckpoint } from "../../sdk/checkpoint/mod.ts";
import { siteConversions } from "../../sdk/kernelize/mod.ts";
import { assertClose } from "../helpers/assert_close.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";
import { WIDTH } from "./fixtures.ts";
import { fill, leavesUnchanged, outputOf } from "./unchanged.ts";

gpuForFile();

/** Four modules, one weight. */
class Tied extends Module {
  first = new Linear(WIDTH, WIDTH, false);
  norm = new RMSNorm(WIDTH);
  next = new Linear(WIDTH, WIDTH, false);
  head = new Linear(WIDTH, WIDTH, false);
  constructor() {
    super();
    this.head.weight = this.next.weight = this.first.weight;
  }
  override forward(x: Tensor): Tensor {
    return this.head.call(this.next.call(this.norm.call(this.first.call(x))));
  }
  exampleInputs(): unknown[][] {
    return [[Tensor.empty([3, WIDTH], { device: "meta" })]];
  }
}

@layout({ site: replaces(Linear), conversions: [convert("weight", "w", [transpose(0, 1)])] })
class TurnedLayout extends Layout {
  w: Parameter;
  constructor(in_features: number, out_features: number, _bias = true) {
    super();
    this.w = parameter([in_features, out_features]);
  }
}
@kernel({ site: replaces(Linear), layout: TurnedLayout })
class Turned {
  forward(this: TurnedLayout, x: Tensor): Tensor {
    return matmul(x, this.w);
  }
}

const chain = fuses({ norm: RMSNorm }, { next: Linear });
@layout({
  site: chain,
  conversions: [rename("norm.weight", "scale"), convert("next.weight", "w", [transpose(0, 1)])],
})
class ChainLayout extends Layout {
  scale: Parameter;
  w: Parameter;
  readonly eps: number;
  constructor(norm: RMSNorm, next: Linear) {
    super();
    this.eps = norm.eps;
    this.scale = parameter([norm.hidden_size]);
    this.w = parameter([next.in_features, next.out_features]);
  }
}
@kernel({ site: chain, layout: ChainLayout })
class Chain {
  forward(this: ChainLayout, x: Tensor): Tensor {
    return matmul(rmsNorm(x, this.scale, this.eps), this.w);
  }
}

const pair = fuses({ a: Linear }, { b: Linear });
@layout({
  site: pair,
  conversions: [convert("a.weight", "a", [transpose(0, 1)]), convert("b.weight", "b", [transpose(0, 1)])],
})
class PairLayout extends Layout {
  a: Parameter;
  b: Parameter;
  constructor(a: Linear, b: Linear) {
    super();
    this.a = parameter([a.in_features, a.out_features]);
    this.b = parameter([b.in_features, b.out_features]);
  }
}
@kernel({ site: pair, layout: PairLayout })
class Pair {
  forward(this: PairLayout, x: Tensor): Tensor {
    return matmul(matmul(x, this.a), this.b);
  }
}

@layout({
  site: replaces(Linear),
  conversions: [convert("weight", "w", [transpose(0, 1)], { loadOnly: true })],
})
class OneWayLayout extends Layout {
  w: Parameter;
  constructor(in_features: number, out_features: number, _bias = true) {
    super();
    this.w = parameter([in_features, out_features]);
  }
}
@kernel({ site: replaces(Linear), layout: OneWayLayout })
class OneWay {
  forward(this: OneWayLayout, x: Tensor): Tensor {
    return matmul(x, this.w);
  }
}

const all = replace("Linear", Turned);
const fused = fuse([["RMSNorm", "norm"], ["Linear", "next"]], Chain);
const CONFIGS: Record<string, KernelConfig> = {
  "all places": { kernels: [all] },
  "two of three": { kernels: [replace("Linear", Turned, { at: ["first", "head"] })] },
  "one": { kernels: [replace("Linear", Turned, { at: "head" })] },
  "one replaced, one fused": { kernels: [replace("Linear", Turned, { at: "first" }), fused] },
  "all of them, one fused": { kernels: [all, fused] },
  "two parts of one fusion": { kernels: [fuse([["Linear", "next"], ["Linear", "head"]], Pair)] },
  "everything": {
    kernels: [
      replace("Linear", Turned, { at: "first" }),
      fuse([["Linear", "next"], ["Linear", "head"]], Pair),
    ],
  },
};
const INPUT = [3, WIDTH];

/** What is alive, after everything has run and free buffers are gone. */
function alive(): { tensors: number; buffers: number; bytes: number } {
  gpu().trim();
  const { tensors, buffers, bytes } = memory();
  return { tensors, buffers, bytes };
}

async function inFolder(fn: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await fn(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A checkpoint of the model, and what it computes. */
async function saved(folder: string): Promise<number[]> {
  using model = fill(new Tied(), "webgpu");
  await saveCheckpoint(model, folder);
  return await outputOf(model, INPUT, "webgpu");
}

async function loadInto(model: Module, folder: string): Promise<void> {
  await using checkpoint = await openCheckpoint(folder);
  await loadCheckpoint(model, checkpoint, { conversions: siteConversions(model) });
}

const bytesOf = (folder: string) => Deno.readFileSync(`${folder}/model.safetensors`);

describe("a tied weight", () => {
  for (const [name, config] of Object.entries(CONFIGS)) {
    it(`swapped at ${name} in a loaded model, comes back, and leaves no memory`, async () => {
      const start = alive();
      const model = fill(new Tied(), "webgpu");
      const before = alive();
      const plain = await outputOf(model, INPUT, "webgpu");
      await leavesUnchanged(model, async () => {
        for (const other of [config, CONFIGS["all places"], config]) {
          await kernelize(model, other);
          assertClose(await outputOf(model, INPUT, "webgpu"), plain, { relative: 1e-5 });
        }
        unkernelize(model);
      });
      assertEquals(alive(), before);
      await kernelize(model, config);
      model.dispose();
      assertEquals(alive(), start);
      unkernelize(model);
      model.dispose();
      assertEquals(alive(), start);
    });

    it(`swapped at ${name} before loading, comes back, is saved, and is swapped again`, async () => {
      await inFolder(async (folder) => {
        const plain = await saved(folder);
        using model = new Tied();
        await kernelize(model, config);
        await loadInto(model, folder);
        assertClose(await outputOf(model, INPUT, "webgpu"), plain, { relative: 1e-5 });
        await saveCheckpoint(model, `${folder}/swapped`, { conversions: siteConversions(model) });
        assertEquals(bytesOf(`${folder}/swapped`), bytesOf(folder));
        await saveCheckpoint(model, `${folder}/new`, { conversions: siteConversions(model), origin: false });
        assertEquals(bytesOf(`${folder}/new`).length, bytesOf(folder).length);
        for (const other of [CONFIGS["one replaced, one fused"], config]) {
          await kernelize(model, other);
          assertClose(await outputOf(model, INPUT, "webgpu"), plain, { relative: 1e-5 });
        }
        unkernelize(model);
        for (const [path, p] of model.namedParameters()) assert(p.materialized, path);
        assertEquals(await outputOf(model, INPUT, "webgpu"), plain);
        await saveCheckpoint(model, `${folder}/again`);
        assertEquals(bytesOf(`${folder}/again`), bytesOf(folder));
      });
    });
  }

  it("comes back where one of two ways has no way back", async () => {
    await inFolder(async (folder) => {
      const plain = await saved(folder);
      for (const [a, b] of [["first", ["next", "head"]], ["head", ["first", "next"]]] as const) {
        using model = new Tied();
        await kernelize(model, {
          kernels: [replace("Linear", OneWay, { at: a }), replace("Linear", Turned, { at: b })],
        });
        await loadInto(model, folder);
        // What the one way read, the other can give back.
        unkernelize(model);
        assertEquals(await outputOf(model, INPUT, "webgpu"), plain);
      }
    });
  });

  it("is not lost without a word where no way leads back", async () => {
    await inFolder(async (folder) => {
      const plain = await saved(folder);
      using model = new Tied();
      await kernelize(model, { kernels: [replace("Linear", OneWay)] });
      await loadInto(model, folder);
      const error = assertThrows(() => unkernelize(model), KernelwrightError);
      assertEquals(error.code, "KW-CONVERT-NO-REVERSE");
      await assertRejects(
        () => kernelize(model, { kernels: [all] }),
        KernelwrightError,
        "KW-CONVERT-NO-REVERSE",
      );
      assertClose(await outputOf(model, INPUT, "webgpu"), plain, { relative: 1e-5 });
      model.dispose();
      unkernelize(model);
    });
  });
});
