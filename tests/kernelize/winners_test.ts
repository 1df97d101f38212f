import { assert, assertEquals } from "@std/assert";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import { forgetWinners, kernelize, tune, unkernelize } from "../../sdk/kernelize/mod.ts";
import { MOST_WINNERS, Winners } from "../../sdk/host/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { FAST, filled, input, QUICK, SlowByDefault, told, with_ } from "./tune_fixtures.ts";

describe("the file of winners", () => {
  gpuForFile();
  let folder = "";
  let cache = "";
  beforeEach(() => {
    folder = Deno.makeTempDirSync({ prefix: "kernelwright-tune-" });
    cache = `${folder}/deep/tune.json`;
    forgetWinners();
    told.length = 0;
  });
  afterEach(() => Deno.removeSync(folder, { recursive: true }));

  const corrupt: [string, string][] = [
    ["{", "it is not JSON"],
    ['{"format":"other"}', "it is not of this form"],
    ['{"format":"kernelwright-winners","version":2,"entries":[]}', "it is not of this form"],
    [" ".repeat(2 << 20), "it is too large"],
  ];
  for (const [text, why] of corrupt) {
    it(`is left aside with a note where ${why}: ${text.slice(0, 60).trim()}`, async () => {
      using model = filled();
      using x = input();
      cache = `${folder}/tune.json`;
      Deno.writeTextFileSync(cache, text);
      const report = await kernelize(model, with_(SlowByDefault), { tune: { cache } });
      assert(report.notes.some((n) => n.includes(why)), report.notes.join());
      assertEquals(report.sites[0].tuned, undefined);
      await tune(model, { inputs: [x], cache, ...QUICK }); // and is replaced
      assertEquals(JSON.parse(Deno.readTextFileSync(cache)).entries.length, 1);
      assertEquals([...Deno.readDirSync(folder)].length, 1);
      unkernelize(model);
    });
  }

  it("does not stop anybody where it cannot be written", async () => {
    using model = filled();
    using x = input();
    Deno.writeTextFileSync(`${folder}/deep`, "a file where a folder belongs");
    const report = await kernelize(model, with_(SlowByDefault), { tune: { inputs: [x], cache, ...QUICK } });
    assertEquals(report.sites[0].tuned![0].constants, FAST);
    assert(report.notes.some((n) => n.includes("not written")), report.notes.join());
    unkernelize(model);
  });

  it("counts for the same shader, version and candidates only, and for values that the kernel names", async () => {
    using model = filled();
    using x = input();
    await kernelize(model, with_(SlowByDefault), { tune: { inputs: [x], cache, ...QUICK } });
    unkernelize(model);
    const saved = JSON.parse(Deno.readTextFileSync(cache));
    const [entry] = saved.entries;
    const digest = /[0-9a-f]{64}/.exec(entry.key)![0];
    const tampered = [
      { ...entry, key: entry.key.replace(digest, "0".repeat(64)) },
      { ...entry, key: entry.key.replace("@1.0.0", "@1.0.1") },
      { ...entry, constants: { WORK: 7, TILE: 4 } },
      { ...entry, constants: { WORK: 1 } },
      { ...entry, constants: { WORK: 1, TILE: 4, MORE: 1 } },
    ];
    for (const one of tampered) {
      forgetWinners();
      Deno.writeTextFileSync(cache, JSON.stringify({ ...saved, entries: [one] }));
      const report = await kernelize(model, with_(SlowByDefault), { tune: { cache } });
      assertEquals(report.sites[0].tuned, undefined, JSON.stringify(one));
      unkernelize(model);
    }
  });

  it("keeps the youngest winners, and those that another process wrote meanwhile", async () => {
    const winner = { constants: { A: 1 }, ms: 1, defaultMs: 2 };
    const [one, other] = [await Winners.open(cache), await Winners.open(cache)];
    one.set("one", winner);
    await one.save();
    other.set("other", winner);
    await other.save();
    forgetWinners();
    const both = await Winners.open(cache);
    assertEquals([both.get("one"), both.get("other")], [winner, winner]);
    for (let i = 0; i < MOST_WINNERS; i++) both.set(`new ${i}`, winner);
    await both.save();
    forgetWinners();
    const last = await Winners.open(cache);
    assertEquals([last.get("one"), last.get("new 0")], [undefined, winner]);
    assertEquals(JSON.parse(Deno.readTextFileSync(cache)).entries.length, MOST_WINNERS);
  });
});
