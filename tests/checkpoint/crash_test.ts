import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  loadCheckpoint,
  openCheckpoint,
  openFolder,
  readText,
  saveCheckpoint,
  type SaveOptions,
} from "../../sdk/checkpoint/mod.ts";
import { JOURNAL_NAME } from "../../sdk/checkpoint/source/journal.ts";
import { endedBefore } from "./crash.ts";
import { checkpointOf, f32, inFolder, messageOf } from "./files.ts";
import { type Tree, treeOf } from "./tree.ts";

const names = (folder: string) => [...Deno.readDirSync(folder)].map((e) => e.name).sort();
const extra = (files: Record<string, string>) =>
  Object.entries(files).map(([name, text]) => ({ name, from: new TextEncoder().encode(text) }));

const one = { a: f32([4], [1, 1, 1, 1]), b: f32([4], [1, 1, 1, 1]), c: f32([4], [1, 1, 1, 1]) };
const two = { a: f32([4], [2, 2, 2, 2]), x: f32([4], [2, 2, 2, 2]), y: f32([4], [2, 2, 2, 2]) };
const plain: SaveOptions = { extra: extra({ "config.json": "1" }), remove: ["kernels.json"] };
const kernels: SaveOptions = { extra: extra({ "config.json": "1", "kernels.json": "1" }) };
const other: SaveOptions = { extra: extra({ "config.json": "2" }), remove: ["kernels.json"] };
const otherKernels: SaveOptions = { extra: extra({ "config.json": "2", "kernels.json": "2" }) };

const SCENARIOS: Record<string, [SaveOptions | undefined, SaveOptions]> = {
  "a new folder": [undefined, otherKernels],
  "one file by one file": [kernels, otherKernels],
  "one file by shards, kernels by none": [kernels, { ...other, maxShardSize: 16 }],
  "shards by fewer shards": [{ ...plain, maxShardSize: 16 }, { ...otherKernels, maxShardSize: 32 }],
  "shards by shards of the same names": [{ ...kernels, maxShardSize: 16 }, { ...other, maxShardSize: 16 }],
  "shards by one file": [{ ...kernels, maxShardSize: 16 }, other],
};

async function loaded(tensors: Parameters<typeof checkpointOf>[0]): Promise<Tree> {
  const checkpoint = await checkpointOf(tensors);
  const model = treeOf(checkpoint.tensors.values());
  await loadCheckpoint(model, checkpoint, { device: "reference" });
  return model;
}

/** All that a loader sees of a folder. */
async function seen(folder: string): Promise<string> {
  const at = openFolder(folder);
  const parts = [await readText(at, "config.json") ?? "none", await readText(at, "kernels.json") ?? "none"];
  try {
    await using checkpoint = await openCheckpoint(folder);
    for (const t of checkpoint.tensors.values()) {
      parts.push(`${t.key}=${new Float32Array((await t.source.read(t.offset, t.bytes)).slice().buffer)}`);
    }
  } catch (error) {
    assertStringIncludes(String(error), "KW-CHECKPOINT-OPEN");
    parts.push("nothing");
  }
  return parts.join(" ");
}

describe("a save whose process ends", () => {
  for (const [title, [before, after]] of Object.entries(SCENARIOS)) {
    it(`leaves the old or the new as a whole, whenever it is: ${title}`, async () => {
      const [old, fresh] = [await loaded(one), await loaded(two)];
      const outcomes = new Set<string>();
      let newSince: number | undefined;
      await inFolder(async (parent) => {
        const whole = async (model: Tree, name: string, options: SaveOptions) => {
          await endedBefore(Infinity, () => saveCheckpoint(model, `${parent}/${name}`, options));
          return await seen(`${parent}/${name}`);
        };
        const was = before ? await whole(old, "old", before) : "none none nothing";
        const goal = await whole(fresh, "goal", after);
        for (let n = 0, ended = true; ended; n++) {
          const folder = `${parent}/model`;
          if (before) {
            Deno.mkdirSync(folder);
            for (const name of names(`${parent}/old`)) {
              Deno.copyFileSync(`${parent}/old/${name}`, `${folder}/${name}`);
            }
          }
          ended = await endedBefore(n, () => saveCheckpoint(fresh, folder, after)) > n;
          const is = names(parent).includes("model") ? await seen(folder) : was;
          assert(is === was || is === goal, `before operation ${n}: ${is}`);
          if (is === goal) newSince ??= n;
          else assertEquals(newSince, undefined, `old again before operation ${n}`);
          outcomes.add(is);
          // The next save clears up, whichever it is.
          assertEquals(await whole(fresh, "model", after), goal);
          assertEquals(names(folder), names(`${parent}/goal`));
          Deno.removeSync(folder, { recursive: true });
        }
      });
      assertEquals(outcomes.size, 2);
      old.dispose();
      fresh.dispose();
    });
  }

  it("is refused where its journal cannot be understood, or leads out of the folder", async () => {
    const model = await loaded(one);
    const journals = [
      "{",
      `{"version":1,"tag":"0123abcd","files":["../x"],"remove":[]}`,
      `{"version":1,"tag":"0123abcd","files":[],"remove":["/etc/x"]}`,
      `{"version":1,"tag":"../abcde","files":["model.safetensors"],"remove":[]}`,
      `{"version":2}`,
    ];
    await inFolder(async (folder) => {
      await saveCheckpoint(model, folder);
      for (const journal of journals) {
        Deno.writeTextFileSync(`${folder}/${JOURNAL_NAME}`, journal);
        for (const run of [() => openCheckpoint(folder), () => saveCheckpoint(model, folder)]) {
          assertStringIncludes(await messageOf(run), `KW-CHECKPOINT-OPEN  ${folder}/${JOURNAL_NAME}`);
        }
      }
    });
    model.dispose();
  });
});

describe("a save that cannot be", () => {
  it("is our error with the path, and leaves nothing and takes nothing", async () => {
    const model = await loaded(one);
    await inFolder(async (folder) => {
      Deno.writeTextFileSync(`${folder}/file`, "");
      Deno.mkdirSync(`${folder}/model/config.json`, { recursive: true });
      for (const path of ["file", "file/x", "model"]) {
        const message = await messageOf(() => saveCheckpoint(model, `${folder}/${path}`, plain));
        assertStringIncludes(message, `KW-CHECKPOINT-WRITE  ${folder}/${path}`);
      }
      assertEquals([names(folder), names(`${folder}/model`)], [["file", "model"], ["config.json"]]);
      const broken = {
        name: "broken",
        size: 1,
        read: () => Promise.reject(new Error("no space left on device")),
      };
      const run = () =>
        saveCheckpoint(model, `${folder}/new/er`, { extra: [{ name: "LICENSE", from: broken }] });
      assertStringIncludes(await messageOf(run), "KW-CHECKPOINT-WRITE");
      assertEquals(names(folder), ["file", "model"]);
    });
    model.dispose();
  });

  it("stops at a signal, with everything as it was", async () => {
    const model = await loaded(one);
    await inFolder(async (folder) => {
      await saveCheckpoint(model, folder, kernels);
      const [before, files] = [await seen(folder), names(folder)];
      const stop = new AbortController();
      const source = {
        name: "README.md",
        size: 10,
        read: () => {
          stop.abort("enough");
          return Promise.resolve(new Uint8Array(5));
        },
      };
      const options = {
        ...other,
        extra: [...other.extra!, { name: "README.md", from: source }],
        signal: stop.signal,
      };
      assertStringIncludes(await messageOf(() => saveCheckpoint(model, folder, options)), "KW-ABORTED");
      assertEquals([await seen(folder), names(folder)], [before, files]);
    });
    model.dispose();
  });

  it("removes the drafts of earlier ones, and saves at the same time follow each other", async () => {
    const model = await loaded(one);
    await inFolder(async (folder) => {
      Deno.writeTextFileSync(`${folder}/.model.safetensors.0123abcd.tmp`, "half");
      Deno.writeTextFileSync(`${folder}/.mine.tmp`, "not a draft");
      await Promise.all([plain, kernels, plain].map((o) => saveCheckpoint(model, folder, o)));
      assertEquals(names(folder), [".mine.tmp", "config.json", "model.safetensors"]);
    });
    model.dispose();
  });
});

describe("a folder of the Hugging Face cache", () => {
  it("is followed to its blobs, and nowhere else", async () => {
    const model = await loaded(one);
    await inFolder(async (cache) => {
      await saveCheckpoint(model, `${cache}/from`);
      Deno.mkdirSync(`${cache}/m/blobs`, { recursive: true });
      Deno.mkdirSync(`${cache}/m/snapshots/abc`, { recursive: true });
      Deno.copyFileSync(`${cache}/from/model.safetensors`, `${cache}/m/blobs/0a1b`);
      const link = `${cache}/m/snapshots/abc/model.safetensors`;
      Deno.symlinkSync("../../blobs/0a1b", link);
      assertEquals((await seen(`${cache}/m/snapshots/abc`)).includes("a=1"), true);
      Deno.removeSync(link);
      Deno.symlinkSync("../../../from/model.safetensors", link);
      assertStringIncludes(
        await messageOf(() => openCheckpoint(`${cache}/m/snapshots/abc`)),
        "KW-CHECKPOINT-SHARD",
      );
      await using _ = await openCheckpoint(`${cache}/m/snapshots/abc`, { allowLinks: true });
    });
    model.dispose();
  });
});
