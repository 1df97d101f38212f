import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { concatenate, convert } from "../../sdk/authoring/mod.ts";
import { bytesSource, loadCheckpoint, openCheckpoint, saveCheckpoint } from "../../sdk/checkpoint/mod.ts";
import { guardMemory } from "../../sdk/gpu/mod.ts";
import { type DType, parameter } from "../../sdk/tensor/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";
import { fileWith, type GivenTensor, inFolder, sameBytes } from "./files.ts";
import { swapSite } from "./sites.ts";
import { put, Tree } from "./tree.ts";

const INDEX = "model.safetensors.index.json";
const DTYPES: readonly [file: string, bytes: number, dtype: DType][] = [
  ["F32", 4, "f32"],
  ["F16", 2, "f32"],
  ["BF16", 2, "f32"],
  ["I64", 8, "i32"],
  ["I16", 2, "i32"],
  ["I8", 1, "i32"],
  ["U16", 2, "u32"],
  ["U8", 1, "u8"],
  ["BOOL", 1, "bool"],
];

/** Bits of all sorts; I64 of a size that fits an i32. */
function bytesOf(dtype: string, size: number, seed: number): Uint8Array {
  if (dtype === "I64") {
    return new Uint8Array(BigInt64Array.from({ length: size / 8 }, (_, i) => BigInt(seed % 1000 - i)).buffer);
  }
  let state = seed | 1;
  return Uint8Array.from({ length: size }, () => (state = Math.imul(state, 0x5bd1e995) + 1) >>> 24);
}

const tensor = fc.record({
  kind: fc.constantFrom(...DTYPES),
  count: fc.oneof(fc.nat(9), fc.nat(9), fc.constantFrom(20_001, 40_003)), // the last ones take several pieces
  shard: fc.nat(2),
  seed: fc.integer(),
});

describe("tensors whose bytes are no whole words", () => {
  gpuForFile();

  for (const half of [false, true]) {
    it(`come out of shards and go back byte by byte${half ? ", as f16 too" : ""}`, async () => {
      if (half && !gpu().features.has("shader-f16")) return;
      await inFolder(async (from) => {
        await inFolder(async (to) => {
          await fc.assert(
            fc.asyncProperty(fc.array(tensor, { minLength: 1, maxLength: 8 }), async (tensors) => {
              const shards: Record<string, GivenTensor>[] = [{}, {}, {}];
              const weight_map: Record<string, string> = {};
              const model = new Tree();
              tensors.forEach(({ kind: [file, size, dtype], count, shard, seed }, i) => {
                const key = `t${i}`;
                const own = half && file === "F16" ? "f16" : dtype;
                shards[shard][key] = {
                  dtype: file,
                  shape: [count],
                  bytes: bytesOf(file, count * size, seed),
                };
                weight_map[key] = `model-${shard}.safetensors`;
                put(model, key, parameter([count], own));
              });
              const names = [...new Set(Object.values(weight_map))];
              names.forEach((n) => Deno.writeFileSync(`${from}/${n}`, fileWith(shards[Number(n[6])])));
              Deno.writeTextFileSync(`${from}/${INDEX}`, JSON.stringify({ weight_map }));
              {
                await using checkpoint = await openCheckpoint(from);
                await loadCheckpoint(model, checkpoint, { nonFinite: "ignore", budget: 65536 });
              }
              const { files } = await saveCheckpoint(model, to);
              model.dispose();
              const saved = (name: string) => Deno.readFileSync(`${to}/${name}`);
              if (names.length === 1) {
                assertEquals(sameBytes(saved(files[0]), Deno.readFileSync(`${from}/${names[0]}`)), true);
              } else {
                const index = JSON.parse(Deno.readTextFileSync(`${to}/${INDEX}`)).weight_map;
                for (const name of names) {
                  const now = index[Object.keys(weight_map).find((k) => weight_map[k] === name)!];
                  assertEquals(sameBytes(saved(now), Deno.readFileSync(`${from}/${name}`)), true, name);
                }
              }
              for (const { name } of Deno.readDirSync(from)) Deno.removeSync(`${from}/${name}`);
            }),
            { numRuns: 20 },
          );
        });
      });
    });
  }

  it("lie beside each other in one parameter, and come apart again", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...DTYPES.filter(([, , dtype]) => dtype === "f32")),
        fc.boolean(),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 4 }),
        fc.integer(),
        async ([dtype, size], half, counts, seed) => {
          const as = half && gpu().features.has("shader-f16") && dtype === "F16" ? "f16" : "f32";
          const keys = counts.map((_, i) => `m.s${i}`);
          const file = fileWith(Object.fromEntries(
            counts.map((n, i) => [keys[i], { dtype, shape: [n], bytes: bytesOf(dtype, n * size, seed + i) }]),
          ));
          const model = new Tree();
          counts.forEach((n, i) => put(model, keys[i], parameter([n], as)));
          const conversions = [swapSite(model, "m", [convert(keys, "all", [concatenate(0)])])];
          const checkpoint = await openCheckpoint(bytesSource(file));
          await loadCheckpoint(model, checkpoint, { conversions, dtype: as, nonFinite: "ignore" });
          await inFolder(async (folder) => {
            await saveCheckpoint(model, folder, { conversions });
            assertEquals(sameBytes(Deno.readFileSync(`${folder}/model.safetensors`), file), true);
          });
          model.dispose();
        },
      ),
      { numRuns: 40 },
    );
  });

  it("are loaded without a word behind them, as a memory guard sees", async () => {
    using guard = guardMemory();
    const model = new Tree();
    put(model, "a", parameter([5], "u8"));
    put(model, "b", parameter([3], "bool"));
    const checkpoint = await openCheckpoint(bytesSource(fileWith({
      a: { dtype: "U8", shape: [5], bytes: Uint8Array.of(1, 2, 3, 4, 5) },
      b: { dtype: "BOOL", shape: [3], bytes: Uint8Array.of(1, 0, 1) },
    })));
    await loadCheckpoint(model, checkpoint);
    assertEquals(await guard.check(), []);
    model.dispose();
  });
});
