import { assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { concatenate, type ConversionOp, convert, reshape, transpose } from "../../sdk/authoring/mod.ts";
import {
  bytesSource,
  type Checkpoint,
  loadCheckpoint,
  openCheckpoint,
  saveCheckpoint,
  writeSafetensors,
} from "../../sdk/checkpoint/mod.ts";
import { replaceFiles } from "../../sdk/checkpoint/source/atomic.ts";
import { PieceReader } from "../../sdk/checkpoint/load/pieces.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import { parameter, Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { checkpointOf, f32, fileWith, inFolder, messageOf, sameBytes } from "./files.ts";
import { swapSite } from "./sites.ts";
import { parameterAt, put, type Tree, treeOf } from "./tree.ts";

const names = (folder: string) => [...Deno.readDirSync(folder)].map((e) => e.name).sort();
const six = {
  "a.w": f32([2, 2]),
  "a.b": f32([2]),
  "b.w": f32([2, 2]),
  "b.b": f32([2]),
  c: f32([3]),
  d: f32([40]),
};

async function loaded(tensors = six as Parameters<typeof checkpointOf>[0]): Promise<Tree> {
  const checkpoint = await checkpointOf(tensors);
  const model = treeOf(checkpoint.tensors.values());
  await loadCheckpoint(model, checkpoint);
  return model;
}

/** The values of every tensor, by key. */
async function contents(checkpoint: Checkpoint): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  for (const t of checkpoint.tensors.values()) {
    const bytes = await t.source.read(t.offset, t.bytes);
    found[t.key] = [...new Float32Array(bytes.slice().buffer)];
  }
  return found;
}

const byKey = (tensors: typeof six) =>
  Object.fromEntries(
    Object.entries(tensors).map(([k, t]) => [k, [...new Float32Array(t.bytes.buffer as ArrayBuffer)]]),
  );

describe("saveCheckpoint()", () => {
  gpuForFile();

  it("divides into shards of at most a size, which open again", async () => {
    const model = await loaded();
    await inFolder(async (folder) => {
      const { files } = await saveCheckpoint(model, folder, { maxShardSize: "40B" });
      assertEquals(files, [
        "model-00001-of-00003.safetensors",
        "model-00002-of-00003.safetensors",
        "model-00003-of-00003.safetensors",
        "model.safetensors.index.json",
      ]);
      assertEquals(names(folder), files);
      await using checkpoint = await openCheckpoint(folder);
      assertEquals(await contents(checkpoint), byKey(six));
      assertEquals(JSON.parse(Deno.readTextFileSync(`${folder}/${files[3]}`)).metadata, { total_size: 220 });
    });
    model.dispose();
  });

  it("takes the place of what is there, in both directions, and in its own folder", async () => {
    const model = await loaded();
    await inFolder(async (folder) => {
      Deno.writeTextFileSync(`${folder}/config.json`, "{}");
      await saveCheckpoint(model, folder, { maxShardSize: 40 });
      assertEquals(names(folder).length, 5);
      await saveCheckpoint(model, folder);
      assertEquals(names(folder), ["config.json", "model.safetensors"]);
      await saveCheckpoint(model, folder, { maxShardSize: 40 });
      await saveCheckpoint(model, folder, { maxShardSize: 40 });
      const shards = names(folder).filter((n) => /^model-0000[123]-of-00003\.safetensors$/.test(n));
      assertEquals([shards.length, names(folder).length], [3, 5]);
      await using checkpoint = await openCheckpoint(folder);
      assertEquals(await contents(checkpoint), byKey(six));
    });
    model.dispose();
  });

  it("saves a tied parameter once, and keeps order, metadata and both keys where the file had them", async () => {
    const model = treeOf([{ key: "embed.w", shape: [2, 2] }, { key: "a", shape: [1] }]);
    put(model, "head.w", parameterAt(model, "embed.w"));
    const files: Parameters<typeof fileWith>[0][] = [{ a: f32([1]), "head.w": f32([2, 2]) }, {
      "head.w": f32([2, 2]),
      "embed.w": f32([2, 2]),
      a: f32([1]),
    }];
    for (const tensors of files) {
      await inFolder(async (folder) => {
        const file = fileWith(tensors, { format: "pt", made: "by hand" });
        Deno.writeFileSync(`${folder}/model.safetensors`, file);
        await using checkpoint = await openCheckpoint(folder);
        await loadCheckpoint(model, checkpoint);
        await saveCheckpoint(model, `${folder}/new`);
        assertEquals(sameBytes(Deno.readFileSync(`${folder}/new/model.safetensors`), file), true);
      });
    }
    model.dispose();
  });

  it("without an origin, writes the tree with the original keys", async () => {
    const model = treeOf([{ key: "m.q", shape: [2, 2] }, { key: "m.k", shape: [1, 2] }, {
      key: "n",
      shape: [2],
    }]);
    put(model, "tied", parameterAt(model, "n"));
    const conversions = [swapSite(model, "m", [convert(["m.q", "m.k"], "qk", [concatenate()])])];
    parameterAt(model, "m.qk").assign(Tensor.from([1, 2, 3, 4, 5, 6], { shape: [3, 2] }));
    parameterAt(model, "n").assign(Tensor.from([7, 8]));
    await inFolder(async (folder) => {
      await saveCheckpoint(model, folder, { conversions });
      await using checkpoint = await openCheckpoint(folder);
      assertEquals(await contents(checkpoint), { "m.k": [5, 6], "m.q": [1, 2, 3, 4], n: [7, 8] });
    });
    model.dispose();
  });

  it("writes what was added, leaves out what is gone, and says so", async () => {
    const checkpoint = await checkpointOf(six);
    const model = treeOf([...checkpoint.tensors.values()].filter((t) => t.key !== "d"));
    put(model, "new", parameter([2]));
    await loadCheckpoint(model, checkpoint, { strict: false });
    await inFolder(async (folder) => {
      assertEquals(
        await messageOf(() => saveCheckpoint(model, folder)),
        `KW-CHECKPOINT-WRITE  key "new"
  Cannot save the model: a parameter has no values
  Load all of the model first.`,
      );
      parameterAt(model, "new").assign(Tensor.from([5, 6]));
      assertEquals((await saveCheckpoint(model, folder)).leftOut, ["d"]);
      await using saved = await openCheckpoint(folder);
      const { d: _, ...rest } = byKey(six);
      assertEquals(await contents(saved), { ...rest, new: [5, 6] });
    });
    model.dispose();
  });

  it("says which values were rounded", async () => {
    const model = treeOf([{ key: "a", shape: [2] }]);
    const bytes = new Uint8Array(Float64Array.of(0.1, 2).buffer);
    await loadCheckpoint(model, await checkpointOf({ a: { dtype: "F64", shape: [2], bytes } }));
    await inFolder(async (folder) => {
      assertEquals((await saveCheckpoint(model, folder)).rounded, ["a"]);
      const file = Deno.readFileSync(`${folder}/model.safetensors`);
      assertEquals([...new Float64Array(file.slice(-16).buffer)], [Math.fround(0.1), 2]);
    });
    model.dispose();
  });

  it("refuses a model whose parameter has changed its shape", async () => {
    const model = await loaded();
    parameterAt(model, "c").unload();
    put(model, "c", parameter([5]));
    await inFolder(async (folder) => {
      assertEquals(
        await messageOf(() => saveCheckpoint(model, folder)),
        `KW-CHECKPOINT-WRITE  key "c"
  Cannot save the model as what it was loaded from: this tensor was F32 [3], and is f32 [5] now
  Save it as it is, with { origin: false }.`,
      );
    });
    model.dispose();
  });

  it("refuses what cannot be reversed, before anything is written", async () => {
    const forget: ConversionOp = {
      name: "forget",
      parameters: {},
      bind: (inputs) => ({ ...reshape([-1]).bind(inputs), label: "forget()", reverse: () => undefined }),
    };
    const checkpoint = await checkpointOf(six);
    const model = treeOf(checkpoint.tensors.values());
    const conversions = [
      swapSite(model, "a", [convert("a.w", "flat", [forget], { loadOnly: true })], ["a.b"]),
    ];
    const report = await loadCheckpoint(model, checkpoint, { conversions });
    assertEquals([report.dropped, report.converted.length], [["a.b"], 1]);
    await inFolder(async (folder) => {
      assertEquals(
        await messageOf(() => saveCheckpoint(model, folder, { conversions })),
        `KW-CONVERT-NO-REVERSE  at "a" key "a.b"
  Cannot save the model: a kernel does not need this tensor, and its values were not kept
  Save before kernelize(), or load the model first and put kernels in afterwards: then the values are kept.`,
      );
      const [site] = conversions;
      const [dropped] = site.dropped;
      dropped.parameter.assign(Tensor.from([1, 2]));
      assertStringIncludes(
        await messageOf(() => saveCheckpoint(model, folder, { conversions })),
        'KW-CONVERT-NO-REVERSE  key "a.w"\n  Cannot reverse forget()',
      );
      assertEquals(names(folder), []);
      // Kernels put into a loaded model leave the originals' values where they cannot be had back.
      site.rules[0].sources[0].parameter.assign(Tensor.from([1, 2, 3, 4], { shape: [2, 2] }));
      await saveCheckpoint(model, folder, { conversions });
      assertEquals(sameBytes(Deno.readFileSync(`${folder}/model.safetensors`), fileWith(six)), true);
      for (const s of [dropped, site.rules[0].sources[0]]) s.parameter.dispose();
    });
    model.dispose();
  });

  it("that fails half-way leaves the old files and the buffers as they were", async () => {
    const model = await loaded();
    const broken: ConversionOp = {
      name: "broken",
      parameters: {},
      bind: (inputs) => {
        const good = transpose().bind(inputs);
        const back = good.reverse()!;
        const far = { ...back.moves[0].region, source: { offset: 99, strides: [1, 2] } };
        return { ...good, reverse: () => ({ ...back, moves: [{ input: 0, output: 0, region: far }] }) };
      },
    };
    await inFolder(async (folder) => {
      await saveCheckpoint(model, folder);
      const before = Deno.readFileSync(`${folder}/model.safetensors`);
      const checkpoint = await openCheckpoint(folder);
      const other = treeOf(checkpoint.tensors.values());
      const conversions = [swapSite(other, "b", [convert("b.w", "t", [broken])])];
      await loadCheckpoint(other, checkpoint, { conversions });
      await checkpoint.close();
      const { buffers } = memory();
      assertStringIncludes(
        await messageOf(() => saveCheckpoint(other, folder, { conversions })),
        "KW-TENSOR-SHAPE",
      );
      assertEquals([names(folder), memory().buffers], [["model.safetensors"], buffers]);
      assertEquals(sameBytes(Deno.readFileSync(`${folder}/model.safetensors`), before), true);
      other.dispose();
    });
    model.dispose();
  });

  it("refuses a folder that cannot be made, and sizes that are none", async () => {
    const model = await loaded();
    await inFolder(async (folder) => {
      Deno.writeTextFileSync(`${folder}/file`, "");
      assertStringIncludes(
        await messageOf(() => saveCheckpoint(model, `${folder}/file/x`)),
        `KW-CHECKPOINT-WRITE  ${folder}/file/x\n  Cannot write the checkpoint: `,
      );
      for (const maxShardSize of [0, -1, NaN, "5XB", "", "1e3"]) {
        assertStringIncludes(
          await messageOf(() => saveCheckpoint(model, folder, { maxShardSize })),
          'Give a number of bytes, or a text such as "5GB".',
        );
      }
      assertEquals((await saveCheckpoint(model, folder, { maxShardSize: "1.5 GiB" })).files, [
        "model.safetensors",
      ]);
    });
    model.dispose();
  });
});

describe("replaceFiles()", () => {
  it("leaves everything as it was when writing fails, and no temporary files", () =>
    inFolder(async (folder) => {
      Deno.writeTextFileSync(`${folder}/a`, "old");
      const message = await messageOf(() =>
        replaceFiles(folder, {
          names: ["a", "b"],
          remove: ["a"],
          write: async (writeAt) => {
            await writeAt("a", new Uint8Array(100), 0);
            assertEquals(names(folder).length, 3);
            throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
          },
        })
      );
      assertEquals(
        message,
        `KW-CHECKPOINT-WRITE  ${folder}
  Cannot write the checkpoint: no space left on device
  The files that were there are as they were.`,
      );
      assertEquals([names(folder), Deno.readTextFileSync(`${folder}/a`)], [["a"], "old"]);
    }));
});

describe("writeSafetensors()", () => {
  it("writes tensors that open again, in the usual order", async () => {
    const options = { device: "reference" } as const;
    const file = await writeSafetensors({
      b: Tensor.from([[1, 2], [3, 4]], options),
      ids: Tensor.from(Int32Array.of(5, -6), options),
      a: Tensor.from([0.5], { ...options, dtype: "f16" }),
      flag: Tensor.from(Uint8Array.of(1), { ...options, dtype: "bool" }),
    }, { metadata: { who: "test" }, dtypes: { ids: "I64" } });
    const { files: [{ header }], tensors } = await openCheckpoint(bytesSource(file));
    assertEquals([...tensors.values()].map((t) => `${t.key} ${t.dtype} [${t.shape}]`), [
      "ids I64 [2]",
      "b F32 [2,2]",
      "a F16 [1]",
      "flag BOOL [1]",
    ]);
    assertEquals([...header.metadata!], [["who", "test"]]);
    assertEquals(header.raw.length % 8, 0);
    assertLess(file.length, 400);
    assertEquals([...new BigInt64Array(file.slice(header.raw.length, header.raw.length + 16).buffer)], [
      5n,
      -6n,
    ]);
  });

  it("writes bf16 bit by bit, and PieceReader reads it back", async () => {
    const bits = Uint16Array.of(0x3f80, 0xc000, 0x0001, 0x7f80, 0x4049);
    const w = Tensor.from(bits, { device: "reference" });
    const file = await writeSafetensors({ w });
    assertEquals(new Uint16Array(file.slice(-10).buffer), bits);
    const entry = (await openCheckpoint(bytesSource(file))).tensors.get("w")!;
    const read = Tensor.empty([7], { dtype: "bf16", device: "reference" });
    await new PieceReader(1 << 16).fill(read, 1, { entry, from: 0, count: 5 });
    assertEquals(await read.data(), Uint16Array.of(0, ...bits, 0));
  });
});
