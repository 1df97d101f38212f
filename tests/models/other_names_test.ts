/** Checkpoints whose tensors are named or joined otherwise than the modules': they load, and are saved as they were. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openCheckpoint } from "../../sdk/checkpoint/mod.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import { loadCausalLM, type PretrainedReport, savePretrained } from "../../sdk/models/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { configOf } from "../helpers/models.ts";
import { modelDir, needsModels } from "./checkpoints.ts";
import { largestDifference, logitsOf } from "./logits.ts";

interface Stored {
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}
type Tensors = Map<string, Stored>;

async function read(folder: string): Promise<Tensors> {
  await using checkpoint = await openCheckpoint(folder);
  const found: Tensors = new Map();
  for (const { key, shape, source, offset, bytes } of checkpoint.tensors.values()) {
    found.set(key, { shape, bytes: (await source.read(offset, bytes)).slice() });
  }
  return found;
}

/** Writes a folder of f32 tensors, with the config of a model. */
async function write(model: string, tensors: Tensors): Promise<string> {
  let offset = 0;
  const header: Record<string, unknown> = {};
  for (const [key, { shape, bytes }] of tensors) {
    header[key] = { dtype: "F32", shape, data_offsets: [offset, offset += bytes.length] };
  }
  let text = JSON.stringify(header);
  text += " ".repeat((8 - text.length % 8) % 8);
  const head = new Uint8Array(8);
  new DataView(head.buffer).setBigUint64(0, BigInt(text.length), true);
  const dir = await Deno.makeTempDir();
  const parts = [head, new TextEncoder().encode(text), ...[...tensors.values()].map((t) => t.bytes)];
  await Deno.writeFile(`${dir}/model.safetensors`, joinBytes(parts));
  await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify(configOf(model)));
  return dir;
}

function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}

/** Cuts the rows of a matrix into matrices. */
function rows({ shape: [, width], bytes }: Stored, counts: readonly number[]): Stored[] {
  let at = 0;
  return counts.map((n) => ({
    shape: [n, width],
    bytes: bytes.slice(at * width * 4, (at += n) * width * 4),
  }));
}

/** Phi-3 with projections of their own. */
function apart(tensors: Tensors): Tensors {
  const out: Tensors = new Map();
  for (const [key, tensor] of tensors) {
    const [, layer, name] = /^(.*)\.(qkv_proj|gate_up_proj)\.weight$/.exec(key) ?? [];
    if (name === "qkv_proj") {
      const parts = rows(tensor, [48, 24, 24]);
      for (const [i, p] of ["q", "k", "v"].entries()) out.set(`${layer}.${p}_proj.weight`, parts[i]);
    } else if (name === "gate_up_proj") {
      const parts = rows(tensor, [60, 60]);
      for (const [i, p] of ["gate", "up"].entries()) out.set(`${layer}.${p}_proj.weight`, parts[i]);
    } else out.set(key, tensor);
  }
  return out;
}

/** Experts as version 5 of transformers has them. */
function stacked(names: readonly string[], block = (path: string) => path): (tensors: Tensors) => Tensors {
  return (tensors) => {
    const out: Tensors = new Map();
    const lists = new Map<string, Stored[]>();
    for (const [key, tensor] of tensors) {
      const [, path, expert, name] = /^(.*)\.experts\.(\d+)\.(\w+)\.weight$/.exec(key) ?? [];
      if (!path) {
        out.set(block(key), tensor);
        continue;
      }
      const which = names.indexOf(name);
      const list = `${block(path)}.experts.${which === 2 ? "down_proj" : "gate_up_proj"}`;
      const at = which === 2 ? Number(expert) : 2 * Number(expert) + which;
      const found = lists.get(list) ?? [];
      lists.set(list, found);
      found[at] = tensor;
    }
    for (const [key, list] of lists) {
      const [height, width] = list[0].shape;
      const shape = key.endsWith("down_proj")
        ? [list.length, height, width]
        : [list.length / 2, 2 * height, width];
      out.set(key, { shape, bytes: joinBytes(list.map((t) => t.bytes)) });
    }
    return out;
  };
}

function renamed(change: (key: string) => string): (tensors: Tensors) => Tensors {
  return (tensors) => new Map([...tensors].map(([key, tensor]) => [change(key), tensor]));
}

const base = renamed((key) => key.replace(/^(model|transformer)\./, ""));
const QWEN = ["gate_proj", "up_proj", "down_proj"];

const CASES: readonly [name: string, model: string, change: (tensors: Tensors) => Tensors][] = [
  ["Phi-3 with q, k, v, gate and up apart", "phi3-longrope", apart],
  ["the same, without a head's names", "phi3-partial", base],
  ["Mixtral with stacked experts", "mixtral", stacked(["w1", "w3", "w2"])],
  [
    "Mixtral with stacked experts and the later name of the block",
    "mixtral",
    stacked(["w1", "w3", "w2"], (path) => path.replace("block_sparse_moe", "mlp")),
  ],
  ["Qwen3-MoE with stacked experts", "qwen3-moe", stacked(QWEN)],
  ["Qwen2-MoE with stacked experts", "qwen2-moe", stacked(QWEN)],
  ["SmolLM3 without a head's names", "smollm3", base],
  ["GPT-2 without a head's names", "gpt2", base],
];

describe(needsModels("checkpoints in other spellings"), () => {
  gpuForFile();

  for (const [name, model, change] of CASES) {
    it(`${name}: the same logits, and saved as it was`, async () => {
      const source = modelDir(`${model}-tiny-random`);
      const changed = change(await read(source));
      const dir = await write(`${model}-tiny-random`, changed);
      const before = memory().tensors;
      try {
        using plain = await loadCausalLM(source);
        using other = await loadCausalLM(dir);
        const ids = [[3, 7, 1, 9, 12]];
        assertEquals(largestDifference(await logitsOf(plain, ids), await logitsOf(other, ids)), 0);
        await savePretrained(other, `${dir}/saved`);
        const saved = await read(`${dir}/saved`);
        assertEquals([...saved.keys()].toSorted(), [...changed.keys()].toSorted());
        for (const [key, tensor] of changed) assertEquals(saved.get(key), tensor, key);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
      assertEquals(memory().tensors, before);
    });
  }

  it("GPT-2's causal masks are no weights", async () => {
    const source = modelDir("gpt2-tiny-random");
    const tensors = base(await read(source));
    const masks = ["h.0.attn.bias", "h.1.attn.bias", "h.0.attn.masked_bias"];
    for (const key of masks) tensors.set(key, { shape: [1, 1, 1, 1], bytes: new Uint8Array(4) });
    const dir = await write("gpt2-tiny-random", tensors);
    try {
      const warnings: string[] = [];
      let report: PretrainedReport | undefined;
      using model = await loadCausalLM(dir, {
        onWarning: (w) => warnings.push(w),
        onReport: (r) => report = r,
      });
      assertEquals(report!.ignored.toSorted(), masks.map((m) => `transformer.${m}`).toSorted());
      assertEquals(report!.unexpected, []);
      assert(warnings.length === 1 && masks.every((m) => warnings[0].includes(m)), warnings.join());
      using plain = await loadCausalLM(source);
      const ids = [[3, 7, 1, 9, 12]];
      assertEquals(largestDifference(await logitsOf(plain, ids), await logitsOf(model, ids)), 0);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
});
