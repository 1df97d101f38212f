import { assertEquals, assertLessOrEqual } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import {
  cast,
  concatenate,
  convert,
  interleave,
  permuteForRope,
  rename,
  stackList,
  transpose,
  WeightConverter,
} from "../../sdk/authoring/mod.ts";
import { bytesSource, loadCheckpoint, openCheckpoint, saveCheckpoint } from "../../sdk/checkpoint/mod.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";
import { isQuantised, modelFolder, modelNames } from "../helpers/models.ts";
import { chain } from "./chains.ts";
import { f32, fileWith, inFolder, sameBytes } from "./files.ts";
import { swapSite } from "./sites.ts";
import { parameterAt, treeOf } from "./tree.ts";

/** The one element that the loader waits for now and then. */
const FENCE = 16;

/** Whether every file in `saved` is the same as in `original`, byte by byte. */
function assertSameFiles(original: string, saved: string, names: readonly string[]): void {
  for (const name of names) {
    assertEquals(
      sameBytes(Deno.readFileSync(`${original}/${name}`), Deno.readFileSync(`${saved}/${name}`)),
      true,
      name,
    );
  }
}

describe("load and save", () => {
  gpuForFile();

  for (const name of modelNames().filter((n) => !isQuantised(n))) {
    it(`${name} comes out byte by byte the same`, async () => {
      const folder = modelFolder(name)!;
      await using checkpoint = await openCheckpoint(folder);
      const model = treeOf(checkpoint.tensors.values());
      await loadCheckpoint(model, checkpoint);
      await inFolder(async (saved) => {
        const { files, leftOut, rounded } = await saveCheckpoint(model, saved);
        assertEquals([leftOut, rounded], [[], []]);
        assertSameFiles(folder, saved, files);
        assertEquals(files.length, [...Deno.readDirSync(saved)].length);
      });
      model.dispose();
    });
  }

  for (
    const name of [
      "stories260k",
      "stories260k-f16",
      "stories260k-bf16",
      "stories260k-sharded",
      "qwen3-tiny-random",
    ]
  ) {
    const folder = modelFolder(name);
    it(`${name} with kernels in every layer comes out the same`, { ignore: !folder }, async () => {
      await using checkpoint = await openCheckpoint(folder!);
      const model = treeOf(checkpoint.tensors.values());
      const headDim = name.startsWith("qwen3") ? 16 : 8;
      const layers = Object.keys((model as unknown as { model: { layers: object } }).model.layers);
      const conversions = layers.flatMap((i) => {
        const at = `model.layers.${i}`;
        return [
          swapSite(model, `${at}.post_attention_layernorm`, [
            rename(`${at}.post_attention_layernorm.weight`, "scale"),
            convert([`${at}.mlp.gate_proj.weight`, `${at}.mlp.up_proj.weight`], "gate_up", [
              interleave(0),
              transpose(),
            ]),
            convert(`${at}.mlp.down_proj.weight`, "down", [transpose()]),
          ]),
          swapSite(model, `${at}.self_attn`, [
            convert(["q", "k"].map((n) => `${at}.self_attn.${n}_proj.weight`), "qk", [
              permuteForRope({ headDim }),
              concatenate(0),
            ]),
            rename(`${at}.self_attn.v_proj.weight`, "v"),
          ]),
        ];
      });
      const report = await loadCheckpoint(model, checkpoint, { conversions });
      assertEquals(report.converted.length, layers.length * 3);
      await inFolder(async (saved) => {
        const { files, leftOut } = await saveCheckpoint(model, saved, { conversions });
        assertEquals(leftOut, []);
        assertSameFiles(folder!, saved, files);
      });
      model.dispose();
    });
  }

  const mixtral = modelFolder("mixtral-tiny-random");
  it(
    "mixtral's experts go through a mapping and a layout, and come out the same",
    { ignore: !mixtral },
    async () => {
      await using checkpoint = await openCheckpoint(mixtral!);
      const mapping = [1, 2, 3].map((n) =>
        new WeightConverter(
          `model.layers.*.block_sparse_moe.experts.*.w${n}.weight`,
          `model.layers.*.block_sparse_moe.w${n}`,
          [stackList()],
        )
      );
      const others = [...checkpoint.tensors.values()].filter((t) => !t.key.includes(".experts."));
      const stacked = [0, 1].flatMap((l) =>
        [1, 2, 3].map((n) => ({
          key: `model.layers.${l}.block_sparse_moe.w${n}`,
          shape: n === 2 ? [4, 32, 64] : [4, 64, 32],
        }))
      );
      const model = treeOf([...others, ...stacked]);
      const moe = "model.layers.0.block_sparse_moe";
      const conversions = [swapSite(model, "model.layers.0.block_sparse_moe", [
        convert([`${moe}.w1`, `${moe}.w3`], "w13", [concatenate(1)]),
      ])];
      await loadCheckpoint(model, checkpoint, { mapping, conversions });
      assertEquals(parameterAt(model, `${moe}.w13`).shape, [4, 128, 32]);
      await inFolder(async (saved) => {
        const { files } = await saveCheckpoint(model, saved, { conversions });
        assertSameFiles(mixtral!, saved, files);
      });
      model.dispose();
    },
  );

  it("any chain of ops, of any dtype, gives the same bytes back", async () => {
    const dtypes = fc.constantFrom(["F32", 4, "f32"], ["F16", 2, "f32"], ["F16", 2, "f16"], [
      "BF16",
      2,
      "f32",
    ]);
    const folder = await Deno.makeTempDir();
    const buffers = memory().buffers;
    await fc.assert(
      fc.asyncProperty(
        chain,
        dtypes,
        fc.integer(),
        async ({ shapes, ops, targets }, [dtype, size, as], seed) => {
          let state = seed | 1; // every bit pattern is fair: NaNs and subnormals are moved, not computed with
          const keys = shapes.map((_, i) => `m.s${i}`);
          const file = fileWith(Object.fromEntries(shapes.map((shape, i) => {
            const bytes = new Uint8Array(shape.reduce((a, b) => a * b, size as number));
            for (let b = 0; b < bytes.length; b++) {
              bytes[b] = (state = Math.imul(state, 0x5bd1e995) + 1) >>> 24;
            }
            return [keys[i], { dtype: dtype as string, shape, bytes }];
          })));
          const checkpoint = await openCheckpoint(bytesSource(file));
          const model = treeOf(checkpoint.tensors.values());
          const names = Array.from({ length: targets }, (_, i) => `t${i}`);
          const conversions = [swapSite(model, "m", [convert(keys, names, ops)])];
          await loadCheckpoint(model, checkpoint, { conversions, dtype: as as "f32", nonFinite: "ignore" });
          await saveCheckpoint(model, folder, { conversions });
          model.dispose();
          assertEquals(sameBytes(Deno.readFileSync(`${folder}/model.safetensors`), file), true);
          assertEquals(memory().buffers, buffers);
        },
      ),
      { numRuns: 250 },
    );
    await Deno.remove(folder, { recursive: true });
  });

  it("a cast to f16 gives the bytes of an f16 file back, and says that those of an f32 file were rounded", async () => {
    const values = Float16Array.from({ length: 12 }, (_, i) => (i - 5) / 3);
    const half = { dtype: "F16", shape: [3, 4], bytes: new Uint8Array(values.buffer) };
    for (const [tensor, rounded] of [[half, []], [f32([3, 4], values), ["m.s"]]] as const) {
      const file = fileWith({ "m.s": tensor });
      const checkpoint = await openCheckpoint(bytesSource(file));
      const model = treeOf(checkpoint.tensors.values());
      const conversions = [swapSite(model, "m", [convert("m.s", "t", [cast("f16"), transpose()])])];
      await loadCheckpoint(model, checkpoint, { conversions });
      assertEquals(parameterAt(model, "m.t").dtype, "f16");
      await inFolder(async (folder) => {
        assertEquals((await saveCheckpoint(model, folder, { conversions })).rounded, rounded);
        assertEquals(sameBytes(Deno.readFileSync(`${folder}/model.safetensors`), file), true);
      });
      model.dispose();
    }
  });

  it("uneven parts go straight into their slices: no more memory than the target", async () => {
    const shapes = { q: [301, 100], k: [77, 100], v: [77, 100] };
    const file = fileWith(Object.fromEntries(Object.entries(shapes).map(([n, s]) => [`m.${n}`, f32(s)])));
    const checkpoint = await openCheckpoint(bytesSource(file));
    const model = treeOf(checkpoint.tensors.values());
    const conversions = [swapSite(model, "m", [convert(["m.q", "m.k", "m.v"], "qkv", [concatenate(0)])])];
    gpu().pool.resetPeak();
    const before = memory().bytes;
    await loadCheckpoint(model, checkpoint, { conversions, budget: 64 * 1024 });
    assertLessOrEqual(memory().peakBytes - before, 455 * 100 * 4 + FENCE);
    const data = await parameterAt(model, "m.qkv").data();
    assertEquals([data[30_099], data[30_100], data[37_799], data[37_800], data[45_499]], [
      30_100,
      1,
      7_700,
      1,
      7_700,
    ]);
    await inFolder(async (folder) => {
      await saveCheckpoint(model, folder, { conversions });
      assertEquals(sameBytes(Deno.readFileSync(`${folder}/model.safetensors`), file), true);
    });
    model.dispose();
  });

  it("temporaries are freed as soon as nothing needs them", async () => {
    const file = fileWith({ "f.a": f32([100, 50]), "f.b": f32([100, 50]) });
    const checkpoint = await openCheckpoint(bytesSource(file));
    const model = treeOf([{ key: "m.a", shape: [50, 100] }, { key: "m.b", shape: [50, 100] }]);
    const conversions = [swapSite(model, "m", [convert(["m.a", "m.b"], "ab", [concatenate(0)])])];
    const mapping = [new WeightConverter("f.*", "m.*", [transpose()])];
    gpu().pool.resetPeak();
    const before = memory().bytes;
    await loadCheckpoint(model, checkpoint, { mapping, conversions });
    // The two transposed ones and the target; the file's own are gone by then.
    assertLessOrEqual(memory().peakBytes - before, 4 * 5000 * 4 + FENCE);
    assertEquals(memory().bytes - before, 2 * 5000 * 4);
    await inFolder(async (folder) => {
      await saveCheckpoint(model, folder, { conversions });
      assertEquals(sameBytes(Deno.readFileSync(`${folder}/model.safetensors`), file), true);
    });
    model.dispose();
  });
});
