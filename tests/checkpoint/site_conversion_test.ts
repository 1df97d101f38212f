import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { concatenate, convert, rename, transpose } from "../../sdk/authoring/mod.ts";
import { loadCheckpoint, planLoad, saveCheckpoint } from "../../sdk/checkpoint/mod.ts";
import { checkpointOf, f32, fileWith, inFolder, messageOf, sameBytes } from "./files.ts";
import { swapSite } from "./sites.ts";
import { parameterAt, put, treeOf } from "./tree.ts";

const TENSORS = { "m.q": f32([2, 2]), "m.k": f32([1, 2]), "n.w": f32([2]) };
const entries = Object.entries(TENSORS).map(([key, t]) => ({ key, shape: t.shape, dtype: "F32" as const }));
const on = { device: "reference" } as const;

describe("loading into swapped sites", () => {
  it("reads the original keys, and leaves the rest to the paths", async () => {
    const model = treeOf(entries);
    const conversions = [
      swapSite(model, "m", [convert(["m.q", "m.k"], "qk", [concatenate(0), transpose()])]),
      swapSite(model, "n", [rename("n.w", "scale")]),
    ];
    const report = await loadCheckpoint(model, await checkpointOf(TENSORS), { ...on, conversions });
    assertEquals(report.loaded, ["n.w"]);
    assertEquals(report.converted, [
      { sources: ["m.q", "m.k"], targets: ["m.qk"], ops: ["concatenate", "transpose"], site: "m" },
    ]);
    assertEquals([...await parameterAt(model, "m.qk").data()], [1, 3, 1, 2, 4, 2]);
    assertEquals([...await parameterAt(model, "n.scale").data()], [1, 2]);
  });

  it("a head tied to the embedding is converted from the embedding's key, which is saved once", async () => {
    const model = treeOf([{ key: "embed.w", shape: [3, 2] }, { key: "x", shape: [1] }]);
    put(model, "head.w", parameterAt(model, "embed.w"));
    const embed = parameterAt(model, "embed.w");
    const conversions = [swapSite(model, "head", [convert("head.w", "t", [transpose()])])];
    assertEquals(parameterAt(model, "embed.w"), embed);
    const file = { "embed.w": f32([3, 2]), x: f32([1]) };
    await loadCheckpoint(model, await checkpointOf(file), { ...on, conversions });
    assertEquals([...await parameterAt(model, "head.t").data()], [1, 3, 5, 2, 4, 6]);
    assertEquals([...await parameterAt(model, "embed.w").data()], [1, 2, 3, 4, 5, 6]);
    await inFolder(async (folder) => {
      await saveCheckpoint(model, folder, { conversions });
      assertEquals(sameBytes(Deno.readFileSync(`${folder}/model.safetensors`), fileWith(file)), true);
    });
  });

  it("names a source that is missing by its original key", async () => {
    const model = treeOf(entries);
    const conversions = [swapSite(model, "m", [convert(["m.q", "m.k"], "qk", [concatenate(0)])])];
    const file = await checkpointOf({ "m.q": f32([2, 2]), "n.w": f32([2]) });
    assertEquals(
      await messageOf(() => loadCheckpoint(model, file, { ...on, conversions })),
      `KW-CHECKPOINT-KEYS  key "m.k" test.safetensors
  The checkpoint does not fit the model: "m.k" (f32 [1, 2]) is missing
  Give the checkpoint of this model, a mapping, or { strict: false } to load what fits.`,
    );
  });

  it("refuses a source of another shape before it is converted", async () => {
    const model = treeOf(entries);
    const conversions = [swapSite(model, "m", [convert(["m.q", "m.k"], "qk", [concatenate(0)])])];
    const file = await checkpointOf({ ...TENSORS, "m.k": f32([2, 2]) });
    assertStringIncludes(
      await messageOf(() => loadCheckpoint(model, file, { ...on, conversions })),
      `KW-CHECKPOINT-SHAPE  key "m.k" test.safetensors
  The checkpoint does not fit the model: "m.k" is F32 [2, 2], and the model has f32 [1, 2]`,
    );
  });

  it("refuses two kernels that claim one tensor, and names both", () => {
    const model = treeOf(entries);
    const first = swapSite(model, "m", [convert(["m.q", "m.k"], "qk", [concatenate(0)])]);
    const second = { ...first, site: "n", kernel: "Other" };
    return messageOf(() => planLoad(model, entries, { conversions: [first, second] })).then((message) =>
      assertEquals(
        message,
        `KW-CONVERT-CLAIMED  Other at "n" key "m.q"
  Two conversions claim the same tensor: Kernel at "m" and Other at "n"
  Let one of the sites keep its original.`,
      )
    );
  });

  it("loads a dtype that a conversion cannot have as an error that names the key", async () => {
    const model = treeOf(entries);
    const conversions = [swapSite(model, "m", [convert(["m.q", "m.k"], "qk", [concatenate(0)])])];
    const file = await checkpointOf({
      ...TENSORS,
      "m.k": { dtype: "F8_E5M2", shape: [1, 2], bytes: new Uint8Array(2) },
    });
    assertEquals(
      await messageOf(() => loadCheckpoint(model, file, { ...on, conversions })),
      `KW-CHECKPOINT-DTYPE  Kernel at "m" key "m.k"
  Cannot load F8_E5M2 [1, 2] as f32
  It can be loaded as nothing that WebGPU has.`,
    );
  });
});
