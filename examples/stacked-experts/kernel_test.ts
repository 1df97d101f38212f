import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { keep, kernelize, Module, openGpu, scope, Tensor } from "@kernelwright/sdk";
import { replace } from "@kernelwright/sdk/config";
import { currentGpu } from "@kernelwright/sdk/internal";
import { MixtralSparseMoeBlock } from "@kernelwright/sdk/models";
import { type Dims, randomSource, testKernel } from "@kernelwright/sdk/testing";
import { StackedExperts } from "./mod.ts";

const shapes: Dims[] = [
  { batch: 2, tokens: 3, width: 32, inner: 64, experts: 4, chosen: 2 },
  { batch: 1, tokens: 1, width: 4, inner: 4, experts: 1, chosen: 1 },
  { batch: 1, tokens: 17, width: 20, inner: 12, experts: 7, chosen: 3 },
  { batch: 3, tokens: 5, width: 8, inner: 68, experts: 17, chosen: 17 },
  // Enough for an expert that tokens are sorted by it, in blocks of 4 and of 16.
  { batch: 2, tokens: 20, width: 12, inner: 20, experts: 16, chosen: 2 },
  { batch: 1, tokens: 65, width: 36, inner: 140, experts: 5, chosen: 2 },
];

testKernel(StackedExperts, {
  modules: ({ width, inner, experts, chosen }) => [
    new MixtralSparseMoeBlock(width, inner, experts, Math.min(chosen, experts)),
  ],
  inputs: ({ batch, tokens, width }) => [[batch, tokens, width]],
  shapes,
  sizes: {
    width: { min: 4, max: 40, multipleOf: 4 },
    inner: { min: 4, max: 40, multipleOf: 4 },
    experts: { max: 9 },
    chosen: { max: 4 },
  },
});

class Layer extends Module {
  constructor(readonly block: MixtralSparseMoeBlock) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return this.block.call(x);
  }

  exampleInputs(): Tensor[][] {
    return [[Tensor.empty([1, 2, this.block.hidden_size], { device: "meta" })]];
  }
}

/** A block with random experts and the given rows of the router. */
async function layerWith(router: readonly number[][], chosen: number): Promise<Layer> {
  await openGpu();
  const width = router[0].length;
  const layer = new Layer(new MixtralSparseMoeBlock(width, 8, router.length, chosen));
  const random = randomSource(3);
  for (const [name, p] of layer.namedParameters()) {
    const values = name === "block.gate.weight"
      ? router.flat()
      : Array.from({ length: p.size }, () => random() * 2 - 1);
    p.assign(keep(Tensor.from(Float32Array.from(values), { shape: p.shape })));
  }
  return layer;
}

async function run(layer: Layer, tokens = 2): Promise<number[]> {
  using out = keep(scope(() => {
    const values = Float32Array.from({ length: tokens * 4 }, (_, i) => Math.cos(i));
    return layer.call(Tensor.from(values, { shape: [1, tokens, 4] }));
  }));
  return [...await out.data()];
}

const config = { kernels: [replace("MixtralSparseMoeBlock", StackedExperts)] };

describe("StackedExperts and its router", () => {
  const one = [0.5, -1, 0.25, 2];
  const cases: Record<string, number[][]> = {
    "takes the first of experts that are all equal": [one, one, one, one, one],
    "takes the first of two that are equal at the edge": [[0, 0, 0, 0], one, [0, 0, 0, 0], [0, 0, 0, 0], [
      9,
      9,
      9,
      9,
    ]],
    "divides by the sum where one expert has nearly all": [[40, 40, 40, 40], one, [-40, 3, 1, 0], one],
  };
  for (const [name, router] of Object.entries(cases)) {
    it(name, async () => {
      using layer = await layerWith(router, 2);
      const expected = await run(layer);
      await kernelize(layer, config);
      const off = Math.max(...(await run(layer)).map((v, i) => Math.abs(v - expected[i])));
      assert(off < 1e-5, `off by ${off}`);
    });
  }

  it("sorts many tokens by expert, however unevenly they are spread", async () => {
    // The last expert is the first choice wherever the values' sum is positive.
    const router = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [9, 9, 9, 9]];
    using layer = await layerWith(router, 2);
    const expected = await run(layer, 70);
    await kernelize(layer, config);
    const off = Math.max(...(await run(layer, 70)).map((v, i) => Math.abs(v - expected[i])));
    assert(off < 1e-5, `off by ${off}`);
  });

  it("runs four dispatches for a few tokens and seven for many, however many experts there are", async () => {
    await openGpu();
    const gpu = currentGpu();
    for (const experts of [4, 16]) {
      using layer = await layerWith(Array.from({ length: experts }, (_, e) => [e, -e, 1, 0.5]), 2);
      await kernelize(layer, config);
      for (const [tokens, dispatches] of [[2, 4], [40, 7]]) {
        const before = gpu.stream.dispatches;
        await run(layer, tokens);
        assertEquals(gpu.stream.dispatches - before, dispatches);
      }
    }
  });

  it("leaves other activations, and sizes that do not divide by 4, to the original", async () => {
    const reason = async (block: MixtralSparseMoeBlock) =>
      (await kernelize(new Layer(block), config)).sites[0].reason;
    assertEquals(
      await reason(new MixtralSparseMoeBlock(4, 8, 2, 1, "gelu")),
      "StackedExperts: the activation is gelu, and the kernel computes SiLU",
    );
    assertEquals(
      await reason(new MixtralSparseMoeBlock(6, 8, 2, 1)),
      "StackedExperts: the sizes are 6 and 8, and the kernel loads 4 numbers at once",
    );
  });
});
