import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openCheckpoint } from "../../sdk/checkpoint/mod.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import { loadCausalLM, type PretrainedReport, savePretrained } from "../../sdk/models/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { modelDir, needsModels } from "./checkpoints.ts";
import { largestDifference, logitsOf } from "./logits.ts";

const KERNELS = decodeURIComponent(new URL("../../kernels.json", import.meta.url).pathname);
const IDS = [[1, 403, 407, 261]];

/** stories260k with its keys renamed, and with empty-handed tensors of old versions beside them. */
async function changed(rename: (key: string) => string, extra: readonly string[] = []): Promise<string> {
  const from = modelDir("stories260k");
  const bytes = await Deno.readFile(`${from}/model.safetensors`);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const body = bytes.subarray(8 + length);
  const next = Object.fromEntries(
    Object.entries(header).map(([k, v]) => [k === "__metadata__" ? k : rename(k), v]),
  );
  for (const [i, key] of extra.entries()) {
    const at = body.length + 4 * i;
    next[key] = { dtype: "F32", shape: [1], data_offsets: [at, at + 4] };
  }
  let text = JSON.stringify(next);
  text += " ".repeat((8 - text.length % 8) % 8);
  const head = new Uint8Array(8);
  new DataView(head.buffer).setBigUint64(0, BigInt(text.length), true);
  const dir = await Deno.makeTempDir();
  await Deno.copyFile(`${from}/config.json`, `${dir}/config.json`);
  const all = new Blob([head, text, body, new Uint8Array(4 * extra.length)]);
  await Deno.writeFile(`${dir}/model.safetensors`, new Uint8Array(await all.arrayBuffer()));
  return dir;
}

describe(needsModels("checkpoints of older versions and of base models"), () => {
  gpuForFile();

  const OLD = [
    "model.layers.0.self_attn.rotary_emb.inv_freq",
    "model.layers.1.attn.masked_bias",
    "model.layers.1.attn.bias",
    "model.embeddings.position_ids",
  ];

  it("leaves out buffers of old versions and says so once", async () => {
    const dir = await changed((k) => k, OLD);
    try {
      const warnings: string[] = [];
      let report: PretrainedReport | undefined;
      using model = await loadCausalLM(dir, {
        onWarning: (w) => warnings.push(w),
        onReport: (r) => report = r,
      });
      assertEquals(report!.ignored.toSorted(), OLD.toSorted());
      assertEquals(report!.unexpected, []);
      assertEquals(warnings.length, 1);
      for (const key of OLD) assert(warnings[0].includes(key));
      using plain = await loadCausalLM(modelDir("stories260k"));
      assertEquals(largestDifference(await logitsOf(model, IDS), await logitsOf(plain, IDS)), 0);
      await savePretrained(model, `${dir}/saved`);
      using again = await loadCausalLM(`${dir}/saved`);
      assertEquals(largestDifference(await logitsOf(again, IDS), await logitsOf(plain, IDS)), 0);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });

  for (const kernels of [undefined, KERNELS]) {
    it(`loads and saves the names of a base model ${kernels ? "with kernels" : "plain"}`, async () => {
      const base = (key: string) => key.replace(/^model\./, "");
      const dir = await changed(base);
      try {
        const before = memory().buffers;
        {
          using model = await loadCausalLM(dir, { kernels });
          using plain = await loadCausalLM(modelDir("stories260k"), { kernels });
          assertEquals(largestDifference(await logitsOf(model, IDS), await logitsOf(plain, IDS)), 0);
          await savePretrained(model, `${dir}/saved`, { kernels: false });
        }
        if (!kernels) assertEquals(memory().buffers, before);
        const keys = async (d: string) => {
          await using checkpoint = await openCheckpoint(d);
          return [...checkpoint.tensors.keys()].toSorted();
        };
        assertEquals(await keys(`${dir}/saved`), await keys(dir));
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });
  }
});
