import { type CapturedPlan, type GpuStorage, openGpu, record } from "../../sdk/gpu/mod.ts";
import { attention, linear, rmsNorm, rope, scale, softmax, withoutStandIns } from "../../sdk/ops/mod.ts";
import { type DType, keep, scope, Tensor } from "../../sdk/tensor/mod.ts";
import { numbers, numbersAs } from "../data.ts";
import type { Params, Prepared } from "../protocol.ts";
import { mlpBlock } from "./mlp.ts";

/** Operators, and the MLP block. */
export async function prepareOps(
  mode: string,
  work: string,
  params: Params,
): Promise<Prepared | { cannot: string }> {
  await openGpu();
  const made = await makeWork(work, mode, params);
  if (!made) return { cannot: `no ${work}` };
  return running(made.forward, mode.includes("captured"), () => {
    for (const t of made.inputs) t.dispose();
  });
}

/** Runs a forward again and again, eagerly or from a plan. */
export function running(forward: () => Tensor, captured: boolean, drop: () => void): Prepared {
  let out: Tensor | undefined;
  let plan: CapturedPlan<Tensor> | undefined;
  return {
    call: () => {
      if (captured) {
        if (plan) plan.replay();
        else plan = record(forward);
        out = plan.result;
        return;
      }
      out?.dispose();
      out = keep(scope(() => withoutStandIns(forward)));
    },
    wait: () => out ? firstBytes(out) : Promise.resolve(),
    values: async (at) => {
      const data = await out!.data();
      return at.map((i) => Number(data[i]));
    },
    drop: () => {
      plan?.dispose();
      if (!plan) out?.dispose();
      drop();
    },
  };
}

// ---------------------------------------------------------------------------

interface Work {
  readonly forward: () => Tensor;
  readonly inputs: readonly { dispose(): void }[];
}

async function makeWork(work: string, mode: string, p: Params): Promise<Work | undefined> {
  const n = (name: string) => Number(p[name]);
  const tensor = (shape: number[], seed: number, size = 1) =>
    Tensor.from(numbers(shape.reduce((a, b) => a * b, 1), seed, size), { shape });
  switch (work) {
    case "chain": {
      const x = tensor([n("size")], 1);
      return { forward: () => chain(x, n("length")), inputs: [x] };
    }
    case "linear": {
      const [rows, columns, depth, dtype] = [n("rows"), n("columns"), n("depth"), String(p.dtype) as DType];
      const typed = (count: number, seed: number, shape: number[]) => {
        const values = numbersAs(dtype, count, seed);
        return Tensor.from(dtype === "f16" ? Float16Array.from(values) : values, { shape });
      };
      const x = typed(rows * depth, 1, [rows, depth]);
      const w = typed(columns * depth, 2, [columns, depth]);
      return { forward: () => linear(x, w), inputs: [x, w] };
    }
    case "rms_norm": {
      const [x, w] = [tensor([n("rows"), n("width")], 1), tensor([n("width")], 2)];
      return { forward: () => rmsNorm(x, w, 1e-5), inputs: [x, w] };
    }
    case "softmax": {
      const x = tensor([n("rows"), n("width")], 1, 4);
      return { forward: () => softmax(x), inputs: [x] };
    }
    case "rope": {
      const x = tensor([1, n("rows"), n("heads"), n("size")], 1);
      const position = Tensor.zeros([1], { dtype: "i32" });
      return { forward: () => rope(x, position, { theta: 10000 }), inputs: [x, position] };
    }
    case "attention": {
      const q = tensor([1, n("tokens"), n("heads"), n("size")], 1);
      const k = tensor([1, n("keys"), n("keyHeads"), n("size")], 2);
      const v = tensor([1, n("keys"), n("keyHeads"), n("size")], 3);
      const position = Tensor.from(new Int32Array([n("keys") - n("tokens")]));
      return { forward: () => attention(q, k, v, { position, causal: true }), inputs: [q, k, v, position] };
    }
    case "mlp":
      return await mlpBlock(mode, p);
  }
}

function chain(x: Tensor, length: number): Tensor {
  let y = scale(x, 0.999);
  for (let i = 1; i < length; i++) {
    const next = scale(y, 0.999);
    y.dispose();
    y = next;
  }
  return y;
}

/** Waits for everything; a few bytes tell as well as all. */
function firstBytes(t: Tensor): Promise<unknown> {
  const { buffer, backend } = t.storage as GpuStorage;
  return backend.gpu.readback.read(buffer, 4);
}
