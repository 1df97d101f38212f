/** A process that is killed while it saves, for real: the folder loads afterwards, as the old or as the new. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  loadCheckpoint,
  openCheckpoint,
  openFolder,
  readText,
  saveCheckpoint,
} from "../../sdk/checkpoint/mod.ts";
import { checkpointOf, f32, inFolder } from "./files.ts";
import { treeOf } from "./tree.ts";

const CHILD = decodeURIComponent(new URL("./killed_child.ts", import.meta.url).pathname);
const names = (folder: string) => [...Deno.readDirSync(folder)].map((e) => e.name).sort();

/** Starts the child, kills it when it has said something that `when` knows, and waits until it is gone. */
async function killed(folder: string, how: string, when: (said: string) => boolean): Promise<void> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", CHILD, folder, how],
    stdout: "piped",
    stderr: "inherit",
  });
  const child = command.spawn();
  let said = "";
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += piece;
    if (when(said)) child.kill("SIGKILL");
  }
  assertEquals((await child.status).signal, "SIGKILL");
}

/** The one number that everything in the folder is. */
async function numberOf(folder: string): Promise<string> {
  const found = new Set([await readText(openFolder(folder), "config.json")]);
  await using checkpoint = await openCheckpoint(folder);
  assertEquals([...checkpoint.tensors.keys()], ["a", "b", "c"]);
  for (const t of checkpoint.tensors.values()) {
    const values = new Float32Array((await t.source.read(t.offset, t.bytes)).slice().buffer);
    for (const value of new Set(values)) found.add(String(value));
  }
  assertEquals(found.size, 1, [...found].join());
  return [...found][0]!;
}

async function saveOnes(folder: string): Promise<void> {
  const checkpoint = await checkpointOf({ a: f32([4], [1, 1, 1, 1]), b: f32([1], [1]), c: f32([1], [1]) });
  const model = treeOf(checkpoint.tensors.values());
  await loadCheckpoint(model, checkpoint, { device: "reference" });
  const extra = ["config.json", "kernels.json"].map((name) => ({
    name,
    from: new TextEncoder().encode("1"),
  }));
  await saveCheckpoint(model, folder, { extra });
  model.dispose();
}

describe("a process that is killed while it saves", () => {
  it("leaves the old files whole, and its drafts go with the next save", () =>
    inFolder(async (folder) => {
      await saveOnes(folder);
      const before = names(folder);
      await killed(folder, "stuck", (said) => said.includes("in the middle"));
      assert(names(folder).length > before.length, "it was killed before it wrote");
      assertEquals([await numberOf(folder), await readText(openFolder(folder), "kernels.json")], ["1", "1"]);
      await saveOnes(folder);
      assertEquals(names(folder), before);
    }));

  it("leaves the old or the new as a whole, whenever it is", () =>
    inFolder(async (folder) => {
      await saveOnes(folder);
      for (const saves of [1, 3, 8]) {
        await killed(folder, "on", (said) => said.split("saved").length > saves);
        assert(["2", "3"].includes(await numberOf(folder)));
        assertEquals(await readText(openFolder(folder), "kernels.json"), undefined);
      }
      await saveOnes(folder);
      assertEquals([await numberOf(folder), names(folder)], ["1", [
        "config.json",
        "kernels.json",
        "model.safetensors",
      ]]);
    }));

  it("cannot save where nothing may be written, and says so", async () => {
    if (Deno.build.os !== "linux") return;
    for (const folder of ["/proc/kernelwright", "/proc/self/kernelwright/new"]) {
      let message = "";
      await saveOnes(folder).catch((e) => message = String(e));
      assert(message.includes("KW-CHECKPOINT-WRITE"), message);
    }
    await inFolder(async (folder) => {
      await saveOnes(folder);
      const before = names(folder);
      Deno.chmodSync(folder, 0o555);
      // The superuser may write all the same.
      const failed = await saveOnes(folder).then(() => "", (e) => String(e));
      Deno.chmodSync(folder, 0o755);
      assert(failed === "" || failed.includes("KW-CHECKPOINT-WRITE"), failed);
      assertEquals([await numberOf(folder), names(folder)], ["1", before]);
    });
  });
});
