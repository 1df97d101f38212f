import { argmax } from "../../sdk/ops/mod.ts";
import { loadCausalLM } from "../../sdk/models/mod.ts";
import { keep, scope, Tensor } from "../../sdk/tensor/mod.ts";
import { compare } from "../compare.ts";
import { generatedLlama, storiesModel } from "../llama.ts";
import { promptIds } from "../ours/prompt.ts";
import type { Program } from "../programs.ts";
import type { Case, Effort, Report, Row, Subject } from "../subject.ts";

const ours = (name: string): Program => ({ name, file: "ours/main.ts", args: [name] });
const MODES = ["eager", "kernels", "captured", "kernels captured"];

/** One token after another. */
export const decodeSubject: Subject = {
  name: "decode",
  about:
    "One token of a greedy generation, its id read each time. `raw` makes the captured dispatches by a plain loop.",
  run: async (effort, say) => await models(effort, "decode", [ours("raw"), ...MODES.map(ours)], say),
};

/** A prompt. */
export const prefillSubject: Subject = {
  name: "prefill",
  about: "The logits of a prompt's last token, all kernels and operators of the model.",
  run: async (effort, say) => await models(effort, "prefill", MODES.map(ours), say),
};

// ---------------------------------------------------------------------------

async function models(
  effort: Effort,
  work: "decode" | "prefill",
  programs: readonly Program[],
  say: (line: string) => void,
): Promise<Report> {
  const stories = await storiesModel();
  const dirs: [string, string][] = stories ? [["stories", stories]] : [];
  if (!effort.quick) dirs.push(["llama 512 × 8", await generatedLlama()]);
  const rows: Row[] = [];
  for (const [name, dir] of dirs) {
    const c = work === "decode" ? decodeCase(name, dir) : prefillCase(name, dir);
    rows.push(...await compare(work, [c], programs, effort, say));
  }
  return {
    rows,
    notes: stories ? [] : ["The stories model is absent (../shared/models/stories260k): not measured."],
  };
}

function decodeCase(name: string, dir: string): Case {
  return {
    name: `${name}, 32 tokens from 64`,
    params: { dir, position: 64 },
    size: 12,
    reference: () => referenceIds(dir, 12),
    tolerance: 0, // ids
    calls: 33,
  };
}

function prefillCase(name: string, dir: string): Case {
  return {
    name: `${name}, 64 tokens`,
    params: { dir, tokens: 64 },
    size: 512,
    reference: (at) => referenceLogits(dir, 64, at),
    tolerance: 1e-3,
  };
}

/** Greedy ids after the id 1, in float64. */
async function referenceIds(dir: string, count: number): Promise<number[]> {
  using model = await loadCausalLM(dir, { device: "reference" });
  using cache = model.makeCache({ maxLength: count, device: "reference" });
  const made: number[] = [];
  for (let id = 1; made.length < count; made.push(id)) {
    using ids = Tensor.from(new Int32Array([id]), { shape: [1, 1], device: "reference" });
    using next = keep(scope(() => argmax(model.call(ids, { cache, logits_to_keep: 1 }))));
    id = Number((await next.data())[0]);
  }
  return made;
}

async function referenceLogits(dir: string, tokens: number, at: readonly number[]): Promise<number[]> {
  using model = await loadCausalLM(dir, { device: "reference" });
  const ids = Tensor.from(promptIds(tokens, model.config.vocab_size), {
    shape: [1, tokens],
    device: "reference",
  });
  using logits = keep(scope(() => model.call(ids, { logits_to_keep: 1 })));
  ids.dispose();
  const data = await logits.data();
  return at.map((i) => Number(data[i]));
}
