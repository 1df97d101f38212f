import { type CapturedPlan, currentGpu, type GpuStorage, openGpu, record } from "../../sdk/gpu/mod.ts";
import { type CausalLM, loadCausalLM } from "../../sdk/models/mod.ts";
import { argmax, stridedCopy } from "../../sdk/ops/mod.ts";
import { keep, scope, Tensor } from "../../sdk/tensor/mod.ts";
import type { Params, Prepared } from "../protocol.ts";
import { running } from "./ops.ts";
import { promptIds } from "./prompt.ts";
import { spy } from "./spy.ts";

/** A whole model: `decode` is one token after another, `prefill` a prompt. */
export async function prepareModel(mode: string, work: string, params: Params): Promise<Prepared> {
  await openGpu();
  const root = new URL("../../kernels.json", import.meta.url);
  const model = await loadCausalLM(String(params.dir), {
    kernels: mode.includes("kernels") ? decodeURIComponent(root.pathname) : undefined,
  });
  return work === "prefill"
    ? prefill(model, mode, Number(params.tokens))
    : decode(model, mode, Number(params.position));
}

// ---------------------------------------------------------------------------

/** Writes a value into an i32 tensor of one element. */
function set(t: Tensor, value: number): void {
  currentGpu().stream.write((t.storage as GpuStorage).buffer, new Uint8Array(new Int32Array([value]).buffer));
}

function prefill(model: CausalLM, mode: string, tokens: number): Prepared {
  const ids = Tensor.from(promptIds(tokens, model.config.vocab_size), { shape: [1, tokens] });
  const forward = () => model.call(ids, { logits_to_keep: 1 });
  return running(forward, mode.includes("captured"), () => {
    ids.dispose();
    model.dispose();
  });
}

function decode(model: CausalLM, mode: string, position: number): Prepared {
  // The shaders read the position from a tensor, which each train sets back; the host's count goes on.
  const cache = model.makeCache({ maxLength: 8192 });
  const ids = Tensor.from(new Int32Array([1]), { shape: [1, 1] });
  const forward = () => argmax(model.call(ids, { cache, logits_to_keep: 1 }));
  const whole = { shape: [1], source: { offset: 0, strides: [1] }, target: { offset: 0, strides: [1] } };
  const advance = () => {
    const next = forward();
    stridedCopy(ids, next, whole); // fed back without leaving the device
    return next;
  };
  let plan: CapturedPlan<Tensor> | undefined;
  const eager = async () => {
    using next = keep(scope(advance));
    return (await next.data())[0];
  };
  const captured = async () => (await (plan ??= record(advance), plan.replay()).data())[0];
  const step = mode.includes("raw") ? rawLoop(advance) : mode.includes("captured") ? captured : eager;
  return {
    call: step,
    wait: () => Promise.resolve(), // each step has read its id
    rewind: () => {
      set(cache.position, position);
      set(ids, 1);
    },
    values: async (at) => {
      set(cache.position, 0);
      set(ids, 1);
      const made: number[] = [];
      while (made.length < at.length) made.push(Number(await step()));
      return made;
    },
    drop: () => {
      plan?.dispose();
      cache.dispose();
      ids.dispose();
      model.dispose();
    },
  };
}

/** The same dispatches by a hand-written loop: one encoder, one submit, one read of the id for each token. */
function rawLoop(advance: () => Tensor): () => Promise<number> {
  const gpu = currentGpu();
  const plan = record(advance);
  gpu.stream.submit();
  const again = spy(() => {
    plan.replay();
    gpu.stream.submit();
  });
  const { device } = gpu;
  const staging = device.createBuffer({ size: 16, usage: 0x01 | 0x08, mappedAtCreation: true });
  staging.unmap();
  const { buffer } = (plan.result.storage as GpuStorage).buffer;
  return async () => {
    const encoder = device.createCommandEncoder();
    again(encoder);
    encoder.copyBufferToBuffer(buffer, 0, staging, 0, 4);
    device.queue.submit([encoder.finish()]);
    const mapped = staging.mapAsync(1);
    let id: number;
    try {
      id = new Int32Array(staging.getMappedRange())[0];
    } catch {
      await mapped;
      id = new Int32Array(staging.getMappedRange())[0];
    }
    staging.unmap();
    return id;
  };
}
