/** TensorFlow.js on its WebGPU backend, with small tensors kept on the GPU (WEBGPU_CPU_FORWARD=false). */
import { numbers } from "../data.ts";
import type { Params, Prepared } from "../protocol.ts";
import { serve } from "../serve.ts";
import { load } from "./load.ts";

const tf = await load("@tensorflow/tfjs");
await load("@tensorflow/tfjs-backend-webgpu");
await tf.setBackend("webgpu");
await tf.ready();
tf.env().set("WEBGPU_CPU_FORWARD", false);

// deno-lint-ignore no-explicit-any -- the library is loaded without its types
type Tensor = any;

const tensor = (shape: number[], seed: number, size = 1): Tensor =>
  tf.tensor(numbers(shape.reduce((a, b) => a * b, 1), seed, size), shape);

function running(fn: () => Tensor, inputs: Tensor[]): Prepared {
  let out: Tensor;
  return {
    call: () => {
      out?.dispose();
      out = tf.tidy(fn);
    },
    wait: async () => {
      if (!out) return;
      const first = tf.tidy(() => out.flatten().slice([0], [1]));
      await first.data();
      first.dispose();
    },
    values: async (at) => {
      const data = await out.data();
      return at.map((i) => Number(data[i]));
    },
    drop: () => {
      out?.dispose();
      for (const t of inputs) t.dispose();
    },
  };
}

await serve((work, params) => Promise.resolve(prepare(work, params)));

function prepare(work: string, p: Params): Prepared | { cannot: string } {
  const n = (name: string) => Number(p[name]);
  switch (work) {
    case "chain": {
      const x = tensor([n("size")], 1);
      return running(() => {
        let y = x;
        for (let i = 0; i < n("length"); i++) {
          const next = tf.mul(y, 0.999);
          if (y !== x) y.dispose();
          y = next;
        }
        return y;
      }, [x]);
    }
    case "linear": {
      if (p.dtype !== "f32") return { cannot: "the library has no f16" };
      const [x, w] = [tensor([n("rows"), n("depth")], 1), tensor([n("columns"), n("depth")], 2)];
      return running(() => tf.matMul(x, w, false, true), [x, w]);
    }
    case "rms_norm": {
      const [x, w] = [tensor([n("rows"), n("width")], 1), tensor([n("width")], 2)];
      return running(() => rmsNorm(x, w), [x, w]);
    }
    case "softmax": {
      const x = tensor([n("rows"), n("width")], 1, 4);
      return running(() => tf.softmax(x), [x]);
    }
    case "mlp": {
      const [rows, hidden, inner] = [n("rows"), n("hidden"), n("inner")];
      const x = tensor([rows, hidden], 1);
      const scale = tensor([hidden], 2);
      const gate = tensor([inner, hidden], 3, 1 / Math.sqrt(hidden));
      const up = tensor([inner, hidden], 4, 1 / Math.sqrt(hidden));
      const down = tensor([hidden, inner], 5, 1 / Math.sqrt(inner));
      return running(() => {
        const y = rmsNorm(x, scale);
        const g = tf.matMul(y, gate, false, true);
        const active = tf.mul(tf.mul(g, tf.sigmoid(g)), tf.matMul(y, up, false, true));
        return tf.matMul(active, down, false, true);
      }, [x, scale, gate, up, down]);
    }
    default:
      return { cannot: `the library has no ${work}` };
  }
}

function rmsNorm(x: Tensor, weight: Tensor): Tensor {
  return tf.mul(tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), 1e-5))), weight);
}
