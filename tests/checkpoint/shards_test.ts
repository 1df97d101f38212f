import { assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openCheckpoint } from "../../sdk/checkpoint/mod.ts";
import { f32, fileWith, inFolder, messageOf } from "./files.ts";

const INDEX = "model.safetensors.index.json";

/** A folder with two shards and an index; `edit` may spoil it. */
async function withShards(
  index: unknown,
  use: (folder: string) => Promise<void> | void,
): Promise<void> {
  await inFolder(async (folder) => {
    Deno.writeFileSync(`${folder}/one.safetensors`, fileWith({ a: f32([2]), "b.w": f32([1]) }));
    Deno.writeFileSync(`${folder}/two.safetensors`, fileWith({ c: f32([3]) }));
    Deno.writeTextFileSync(`${folder}/${INDEX}`, typeof index === "string" ? index : JSON.stringify(index));
    await use(folder);
  });
}

const GOOD = {
  metadata: { total_size: 24 },
  weight_map: { c: "two.safetensors", a: "one.safetensors", "b.w": "one.safetensors" },
};
const mapped = (changes: Record<string, string | undefined>) => ({
  weight_map: { ...GOOD.weight_map, ...changes },
});

describe("openCheckpoint() of shards", () => {
  it("reads every header, and closes the files", () =>
    withShards(GOOD, async (folder) => {
      await using checkpoint = await openCheckpoint(folder);
      assertEquals([...checkpoint.tensors.keys()], ["a", "b.w", "c"]);
      assertEquals(checkpoint.files.map((f) => f.name), ["one.safetensors", "two.safetensors"]);
      await using byUrl = await openCheckpoint(new URL(`file://${folder}/`));
      assertEquals(byUrl.tensors.size, 3);
    }));

  const cases: Record<string, [index: unknown, message: (folder: string) => string]> = {
    "an index that is not JSON": [
      '{"weight_map":',
      (f) =>
        `KW-CHECKPOINT-INDEX  ${f}/${INDEX} byte 14
  The index is not usable JSON: a value is missing
  Get the file again.`,
    ],
    "an index with a key twice": [
      '{"weight_map":{"a":"one.safetensors","a":"two.safetensors"}}',
      (f) =>
        `KW-CHECKPOINT-INDEX  key "a" ${f}/${INDEX} byte 37
  The index is not usable JSON: the key comes twice
  Get the file again.`,
    ],
    "an index without a map": [
      { metadata: {} },
      (f) =>
        `KW-CHECKPOINT-INDEX  ${f}/${INDEX} weight_map
  The index is not as it should be: Invalid input: expected record, received undefined
  It must have a "weight_map" from keys to file names.`,
    ],
    "a map to something else than names": [
      { weight_map: { a: 1 } },
      (f) =>
        `KW-CHECKPOINT-INDEX  ${f}/${INDEX} weight_map.a
  The index is not as it should be: Invalid input: expected string, received number
  It must have a "weight_map" from keys to file names.`,
    ],
    "a shard above the folder": [
      mapped({ a: "../one.safetensors" }),
      (f) =>
        `KW-CHECKPOINT-SHARD  key "a" ${f}/${INDEX} byte 41
  The index says that a tensor is in "../one.safetensors", which is not inside the folder
  Shards lie beside the index and are named relative to it; do not trust this checkpoint.`,
    ],
    "a shard by an absolute path": [
      mapped({ c: "/etc/passwd" }),
      (f) =>
        `KW-CHECKPOINT-SHARD  key "c" ${f}/${INDEX} byte 19
  The index says that a tensor is in "/etc/passwd", which is not inside the folder
  Shards lie beside the index and are named relative to it; do not trust this checkpoint.`,
    ],
    "a shard that is missing": [
      mapped({ "b.w": "three.safetensors", d: "three.safetensors" }),
      (f) =>
        `KW-CHECKPOINT-SHARD  key "b.w" ${f}/three.safetensors
  The shard "three.safetensors" is missing; it has 2 tensors
  Get the file and put it beside the index.`,
    ],
    "a key that the index has and the shard has not": [
      mapped({ "b.x": "one.safetensors" }),
      (f) =>
        `KW-CHECKPOINT-KEYS  key "b.x" ${f}/${INDEX}
  The index says that a tensor is in "one.safetensors", and that shard does not have it
  It has "b.w".`,
    ],
    "a key that the shard has and the index has not": [
      mapped({ "b.w": undefined }),
      (f) =>
        `KW-CHECKPOINT-KEYS  key "b.w" ${f}/one.safetensors byte 126
  The shard "one.safetensors" has a tensor that the index does not name
  Index and shards are not of one checkpoint; get them again.`,
    ],
    "a key that the index puts elsewhere": [
      mapped({ a: "two.safetensors" }),
      (f) =>
        `KW-CHECKPOINT-KEYS  key "a" ${f}/one.safetensors byte 118
  The shard "one.safetensors" has a tensor that the index says is in "two.safetensors"
  Index and shards are not of one checkpoint; get them again.`,
    ],
  };
  for (const [name, [index, message]] of Object.entries(cases)) {
    it(`refuses ${name}`, () =>
      withShards(index, async (folder) => {
        const start = performance.now();
        assertEquals(await messageOf(() => openCheckpoint(folder)), message(folder));
        assertLess(performance.now() - start, 1000);
      }));
  }

  for (const name of ["..\\one.safetensors", "C:\\x", "a/../../b", "", ".", "a\0b", "//x"]) {
    it(`refuses the shard name ${JSON.stringify(name)}`, () =>
      withShards(mapped({ a: name }), async (folder) => {
        assertStringIncludes(await messageOf(() => openCheckpoint(folder)), "KW-CHECKPOINT-SHARD");
      }));
  }

  it("refuses a shard that is a link out of the folder, by default", () =>
    withShards(GOOD, (folder) =>
      inFolder(async (elsewhere) => {
        Deno.renameSync(`${folder}/two.safetensors`, `${elsewhere}/two.safetensors`);
        Deno.symlinkSync(`${elsewhere}/two.safetensors`, `${folder}/two.safetensors`);
        assertEquals(
          await messageOf(() => openCheckpoint(folder)),
          `KW-CHECKPOINT-SHARD  ${folder}/two.safetensors
  The file is a link that leads out of the checkpoint's folder
  Put the file itself there, or pass { allowLinks: true } for a folder that you made, such as a cache.`,
        );
        await using checkpoint = await openCheckpoint(folder, { allowLinks: true });
        assertEquals(checkpoint.tensors.size, 3);
      })));

  it("refuses a link out of the folder under the single file's name too, and takes one that stays inside", () =>
    withShards(GOOD, async (folder) => {
      Deno.symlinkSync(`${folder}/one.safetensors`, `${folder}/model.safetensors`);
      await using checkpoint = await openCheckpoint(folder);
      assertEquals(checkpoint.tensors.size, 2);
      await inFolder(async (other) => {
        Deno.symlinkSync(`${folder}/one.safetensors`, `${other}/model.safetensors`);
        assertStringIncludes(await messageOf(() => openCheckpoint(other)), "KW-CHECKPOINT-SHARD");
      });
    }));

  it("refuses a shard that was cut off, naming it", () =>
    withShards(GOOD, async (folder) => {
      const whole = Deno.readFileSync(`${folder}/two.safetensors`);
      Deno.writeFileSync(`${folder}/two.safetensors`, whole.subarray(0, whole.length - 5));
      assertEquals(
        await messageOf(() => openCheckpoint(folder)),
        `KW-CHECKPOINT-TRUNCATED  key "c" ${folder}/two.safetensors byte 70
  The file ends at byte 70, and this tensor ends at byte 75
  It was not written or downloaded to its end: get it again.`,
      );
    }));
});

describe("openCheckpoint() of what is no checkpoint", () => {
  it("names what is there instead", () =>
    inFolder(async (folder) => {
      Deno.writeTextFileSync(`${folder}/pytorch_model.bin`, "");
      assertEquals(
        await messageOf(() => openCheckpoint(folder)),
        `KW-CHECKPOINT-OPEN  ${folder}
  The folder has neither model.safetensors nor model.safetensors.index.json
  It has pytorch_model.bin: give a .safetensors file by its path; other formats must be converted.`,
      );
      assertStringIncludes(
        await messageOf(() => openCheckpoint(`${folder}/none`)),
        `KW-CHECKPOINT-OPEN  ${folder}/none\n`,
      );
      assertStringIncludes(
        await messageOf(() => openCheckpoint(new URL("ftp://example.com/x"))),
        "Cannot open ftp://example.com/x: it is not a folder",
      );
    }));

  it("refuses a pipe, which would never end", () =>
    inFolder(async (folder) => {
      const { success } = await new Deno.Command("mkfifo", { args: [`${folder}/model.safetensors`] })
        .output();
      assertEquals(success, true);
      assertEquals(
        await messageOf(() => openCheckpoint(folder)),
        `KW-CHECKPOINT-OPEN  ${folder}/model.safetensors
  Cannot open the checkpoint: it is not a regular file
  Give a file or a folder.`,
      );
    }));
});
