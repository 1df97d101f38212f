/**
 * What the examples' kernels do to a generation: dispatches and time for a token, beside the plain model.
 *
 *   deno run -A bench/example_kernels.ts [words of a kernel's or model's name…]
 *
 * Both models take turns at pieces of 16 tokens, so that a machine that slows down does so for both; what is shown is
 * the median over pieces. The first token, which is the prompt's, is not counted.
 *
 * @module
 */
import { currentGpu } from "../sdk/gpu/mod.ts";
import { drawTable } from "../sdk/kernelize/mod.ts";
import { type CausalLM, generate, loadCausalLM } from "../sdk/models/mod.ts";
import { expectedJson, expectedTensor, haveModels, modelDir } from "../tests/models/checkpoints.ts";
import { fittingPairs } from "../tests/models/example_kernels.ts";
import { largestDifference, logitsOf } from "../tests/models/logits.ts";

const ROUNDS = 15;
const TOKENS = 16;

/** Milliseconds for each token of a piece. */
async function piece(model: CausalLM): Promise<number> {
  const { tokenMs } = await generate(model, [[1, 5, 9]], { maxNewTokens: TOKENS, eosTokenIds: [] });
  return median(tokenMs);
}

async function dispatchesOfToken(model: CausalLM): Promise<number> {
  using cache = model.makeCache({ maxLength: 8 });
  await logitsOf(model, [[1, 2, 3]], { cache });
  const before = currentGpu().stream.dispatches;
  await logitsOf(model, [[4]], { cache });
  return currentGpu().stream.dispatches - before;
}

async function distance(model: CausalLM, name: string): Promise<number> {
  const ids = await expectedJson<number[]>(name, "input_ids");
  return largestDifference(await logitsOf(model, [ids]), await expectedTensor(name, "logits", "logits"));
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

if (!haveModels) {
  console.error("no checkpoints at ../shared/models");
  Deno.exit(1);
}
const rows = [["kernels", "model", "dispatches a token", "ms a token", "time", "logits off by"]];
for (const [{ name, config }, model] of fittingPairs()) {
  if (!Deno.args.every((word) => `${name} ${model}`.includes(word))) continue;
  using plain = await loadCausalLM(modelDir(model));
  using own = await loadCausalLM(modelDir(model), { kernels: config });
  const times: [plain: number, own: number][] = [];
  for (let round = -2; round < ROUNDS; round++) {
    const pair: [number, number] = [await piece(plain), await piece(own)];
    if (round >= 0) times.push(pair); // the first two warm up
  }
  const ms = [0, 1].map((side) => median(times.map((t) => t[side])));
  const off = [await distance(plain, model), await distance(own, model)];
  rows.push([
    name,
    model,
    `${await dispatchesOfToken(plain)} → ${await dispatchesOfToken(own)}`,
    ms.map((t) => t.toFixed(2)).join(" → "),
    `${(median(times.map(([a, b]) => b / a))).toFixed(2)}×`,
    off.map((d) => d.toExponential(1)).join(" → "),
  ]);
}
console.log(drawTable(rows));
