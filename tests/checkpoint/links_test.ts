/** Links, and names beside the folder's own: what is written and read stays in the folder. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openFolder, readText } from "../../sdk/checkpoint/mod.ts";
import { replaceFiles } from "../../sdk/checkpoint/source/atomic.ts";
import { isWithin } from "../../sdk/host/mod.ts";
import { inFolder, messageOf } from "./files.ts";

const write = (folder: string, name: string) =>
  replaceFiles(folder, {
    names: [name],
    write: (writeAt) => writeAt(name, new TextEncoder().encode("new"), 0),
  });

describe("a path within a folder", () => {
  it("is not one that only begins alike", () => {
    const inside = ["/x/model", "/x/model/a", "/x/model/a/b", "/x/model\\a"];
    const outside = ["/x/model2", "/x/model2/a", "/x/model-old", "/x/mode", "/x", "/", "/y/x/model"];
    assertEquals(inside.filter((p) => isWithin("/x/model", p)), inside);
    assertEquals(outside.filter((p) => isWithin("/x/model", p)), []);
    assertEquals([isWithin("/", "/a"), isWithin("/x/", "/x/a"), isWithin("/x/", "/xa")], [true, true, false]);
  });
});

describe("a link from a folder to the one beside it, whose name begins alike,", () => {
  for (const [name, made] of [["sub/w", "w"], ["sub/deep/w", "deep"], ["in/sub/deep/w", "deep"]]) {
    it(`is not written through: ${name}`, () =>
      inFolder(async (root) => {
        const [folder, beside] = [`${root}/model`, `${root}/model2`];
        Deno.mkdirSync(`${folder}/in`, { recursive: true });
        Deno.mkdirSync(beside);
        Deno.symlinkSync("../model2", `${folder}/sub`);
        Deno.symlinkSync("../../model2", `${folder}/in/sub`);
        const message = await messageOf(() => write(folder, name));
        assertStringIncludes(message, "KW-CHECKPOINT-WRITE");
        assertStringIncludes(message, "a link to somewhere else");
        assertEquals([...Deno.readDirSync(beside)].map((e) => e.name), [], made);
        assertEquals([...Deno.readDirSync(folder)].map((e) => e.name).sort(), ["in", "sub"]);
      }));
  }

  it("is not read through, in a cache's layout neither", () =>
    inFolder(async (root) => {
      const folder = `${root}/snapshots/model`;
      for (const beside of [`${root}/snapshots/model2`, `${root}/blobs2`]) {
        Deno.mkdirSync(folder, { recursive: true });
        Deno.mkdirSync(beside, { recursive: true });
        Deno.writeTextFileSync(`${beside}/config.json`, "{}");
        Deno.symlinkSync(`${beside}/config.json`, `${folder}/config.json`);
        Deno.symlinkSync(beside, `${folder}/sub`);
        for (const name of ["config.json", "sub/config.json"]) {
          assertStringIncludes(
            await messageOf(() => readText(openFolder(folder), name)),
            "KW-CHECKPOINT-SHARD",
          );
          assertEquals(await readText(openFolder(folder, { allowLinks: true }), name), "{}");
        }
        Deno.removeSync(folder, { recursive: true });
      }
    }));
});

describe("a folder inside", () => {
  it("is made, and is written into where it is a link that stays inside", () =>
    inFolder(async (folder) => {
      await write(folder, "a/b/w");
      Deno.symlinkSync("a", `${folder}/c`);
      await write(folder, "c/b/v");
      assertEquals([...Deno.readDirSync(`${folder}/a/b`)].map((e) => e.name).sort(), ["v", "w"]);
    }));
});
