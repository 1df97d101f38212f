/** Measurements that are no race: memory, a first call. Each happens in a fresh process. */
import { currentGpu, memory, openGpu, record } from "../../sdk/gpu/mod.ts";
import { type CausalLM, generate, loadCausalLM } from "../../sdk/models/mod.ts";
import { argmax, stridedCopy } from "../../sdk/ops/mod.ts";
import { keep, scope, type Storage, Tensor, withTracer } from "../../sdk/tensor/mod.ts";
import type { Params } from "../protocol.ts";

type Facts = Record<string, number | string>;

/** The facts of a work, or undefined where it is none of these. */
export async function prepareFacts(work: string, params: Params): Promise<{ facts: Facts } | undefined> {
  const measure = { "first-call": firstCall, memory: peakMemory }[work];
  return measure && { facts: await measure(params) };
}

// ---------------------------------------------------------------------------

async function firstCall({ dir, ready }: Params): Promise<Facts> {
  const start = performance.now();
  await openGpu();
  const model = await loadCausalLM(String(dir));
  const loaded = performance.now();
  if (ready === "yes") await model.ready();
  const begun = performance.now();
  const run = async () => {
    const at = performance.now();
    await generate(model, [[1, 2, 3, 4, 5, 6, 7, 8]], { maxNewTokens: 2, eosTokenIds: [] });
    return performance.now() - at;
  };
  return { load: loaded - start, ready: begun - loaded, first: await run(), second: await run() };
}

async function peakMemory({ dir }: Params): Promise<Facts> {
  await openGpu();
  const gpu = currentGpu();
  using model = await loadCausalLM(String(dir));
  gpu.trim();
  const weights = memory().bytes;
  using cache = model.makeCache({ maxLength: 256 });
  const kv = memory().bytes - weights;
  using ids = Tensor.from(new Int32Array([1]), { shape: [1, 1] });
  const step = () => {
    const next = argmax(model.call(ids, { cache, logits_to_keep: 1 }));
    const whole = { offset: 0, strides: [1] };
    stridedCopy(ids, next, { shape: [1], source: whole, target: whole });
    return next;
  };
  gpu.pool.resetPeak();
  using plan = record(step);
  const recording = memory().peakBytes;
  gpu.pool.resetPeak();
  await plan.replay().data();
  const created = memory().created;
  for (let i = 0; i < 8; i++) await plan.replay().data();
  return {
    weights,
    cache: kv,
    "peak while recording": recording,
    peak: memory().peakBytes,
    plan: plan.bytes,
    "largest live set": largestLiveSet(model),
    "new buffers in 8 replays": memory().created - created,
    "new buffers in a second eager run": await secondRun(model),
  };
}

async function secondRun(model: CausalLM): Promise<number> {
  const run = async () => {
    const ids = Tensor.from(new Int32Array([1, 2, 3, 4]), { shape: [1, 4] });
    const out = keep(scope(() => argmax(model.call(ids, { logits_to_keep: 1 }))));
    await out.data();
    ids.dispose();
    out.dispose();
  };
  await run();
  const before = memory().created;
  await run();
  return memory().created - before;
}

/** Bytes of the values of a decode step that are needed at the same time, at most: by first and last use. */
function largestLiveSet(model: CausalLM): number {
  const uses = new Map<Storage, { first: number; last: number; bytes: number }>();
  let at = 0;
  const inputs = model.exampleInputs()[1] as Parameters<CausalLM["forward"]>;
  withTracer({
    op(_name, read, written) {
      at++;
      for (const t of written) {
        if (!uses.has(t.storage)) uses.set(t.storage, { first: at, last: at, bytes: t.size * 4 });
      }
      for (const t of read) {
        const use = uses.get(t.storage);
        if (use) use.last = at;
      }
    },
  }, () => argmax(model.call(...inputs)));
  let most = 0;
  for (let i = 1; i <= at; i++) {
    let live = 0;
    for (const u of uses.values()) if (u.first <= i && i <= u.last) live += u.bytes;
    most = Math.max(most, live);
  }
  return most;
}
