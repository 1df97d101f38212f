/** TensorFlow.js on its WebGPU backend, with small tensors kept on the GPU (WEBGPU_CPU_FORWARD=false). */
import { numbers, rotations } from "../data.ts";
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
    case "rope": {
      const [tokens, heads, size] = [n("rows"), n("heads"), n("size")];
      const x = tensor([tokens, heads, size], 1);
      const [cos, sin] = [Math.cos, Math.sin].map((of) =>
        tf.tensor(rotations(tokens, size, of), [tokens, 1, size / 2])
      );
      return running(() => {
        const [a, b] = tf.split(x, 2, -1);
        const first = tf.sub(tf.mul(a, cos), tf.mul(b, sin));
        return tf.concat([first, tf.add(tf.mul(b, cos), tf.mul(a, sin))], -1);
      }, [x, cos, sin]);
    }
    case "attention":
      return attention(n("tokens"), n("keys"), n("heads"), n("keyHeads"), n("size"));
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

/** Keys and values lie head by head, as products want them; a token of a decode sees them all and needs no mask. */
function attention(tokens: number, keys: number, heads: number, keyHeads: number, size: number): Prepared {
  const group = heads / keyHeads;
  const q = tensor([tokens, keyHeads, group, size], 1);
  const [k, v] = [2, 3].map((seed) =>
    tf.tidy(() => tf.transpose(tensor([keys, keyHeads, size], seed), [1, 0, 2]))
  );
  const hidden = Float32Array.from(
    { length: tokens * keys },
    (_, i) => i % keys > keys - tokens + Math.floor(i / keys) ? -1e9 : 0,
  );
  const mask = tf.tensor(hidden, [tokens, keys]);
  return running(() => {
    const rows = tf.reshape(tf.transpose(tf.mul(q, 1 / Math.sqrt(size)), [1, 2, 0, 3]), [
      keyHeads,
      group * tokens,
      size,
    ]);
    let scores = tf.matMul(rows, k, false, true);
    if (tokens > 1) scores = tf.add(tf.reshape(scores, [keyHeads, group, tokens, keys]), mask);
    const weights = tf.reshape(tf.softmax(scores), [keyHeads, group * tokens, keys]);
    const sums = tf.reshape(tf.matMul(weights, v), [keyHeads, group, tokens, size]);
    return tf.transpose(sums, [2, 0, 1, 3]);
  }, [q, k, v, mask]);
}

function rmsNorm(x: Tensor, weight: Tensor): Tensor {
  return tf.mul(tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), 1e-5))), weight);
}
