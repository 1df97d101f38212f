/** jax-js as a contender: compiled with `jit`, forced by `gpuBufferSync()`. */
import { numbers, numbersAs, rotations } from "../data.ts";
import type { Params, Prepared } from "../protocol.ts";
import { serve } from "../serve.ts";
import { load } from "./load.ts";

const jax = await load("@jax-js/jax");
const { numpy: np } = jax;
await jax.init("webgpu");
jax.defaultDevice("webgpu");

// deno-lint-ignore no-explicit-any -- the library is loaded without its types
type Arr = any;

const array = (shape: number[], seed: number, size = 1): Arr =>
  np.array(numbers(shape.reduce((a, b) => a * b, 1), seed, size), { shape });

/** A function of arrays; a call makes it again from references to the same inputs. */
function running(fn: (...inputs: Arr[]) => Arr, inputs: Arr[], jit = true): Prepared {
  const run = jit ? jax.jit(fn) : fn;
  let out: Arr;
  return {
    call: () => {
      out?.dispose();
      out = run(...inputs.map((a) => a.ref));
      out.ref.gpuBufferSync(); // lets go of a reference
    },
    wait: () => out ? out.blockUntilReady() : Promise.resolve(),
    values: async (at) => {
      const data = await out.ref.data();
      return at.map((i) => Number(data[i]));
    },
    drop: () => {
      out?.dispose();
      for (const a of inputs) a.dispose();
    },
  };
}

await serve((work, params) => Promise.resolve(prepare(work, params)));

function prepare(work: string, p: Params): Prepared | { cannot: string } {
  const n = (name: string) => Number(p[name]);
  switch (work) {
    case "chain":
      return running(
        (x) => {
          for (let i = 0; i < n("length"); i++) {
            x = x.mul(0.999);
            x.ref.gpuBufferSync(); // otherwise the chain becomes one kernel, which is not what is measured
          }
          return x;
        },
        [array([n("size")], 1)],
        false,
      );
    case "linear": {
      const dtype = String(p.dtype);
      const typed = (rows: number, columns: number, seed: number) => {
        const values = numbersAs(dtype, rows * columns, seed);
        return np.array(dtype === "f16" ? Float16Array.from(values) : values, { shape: [rows, columns] });
      };
      const inputs = [typed(n("rows"), n("depth"), 1), typed(n("columns"), n("depth"), 2)];
      return running((x, w) => np.matmul(x, np.transpose(w)), inputs);
    }
    case "rms_norm":
      return running(rmsNorm, [array([n("rows"), n("width")], 1), array([n("width")], 2)]);
    case "softmax":
      return running((x) => jax.nn.softmax(x), [array([n("rows"), n("width")], 1, 4)]);
    case "rope": {
      const [tokens, heads, size] = [n("rows"), n("heads"), n("size")];
      const table = (of: (angle: number) => number) =>
        np.array(rotations(tokens, size, of), { shape: [tokens, 1, size / 2] });
      return running((x, cos, sin) => {
        const [a, b] = np.split(x, 2, -1);
        const first = a.ref.mul(cos.ref).sub(b.ref.mul(sin.ref));
        return np.concatenate([first, b.mul(cos).add(a.mul(sin))], -1);
      }, [array([tokens, heads, size], 1), table(Math.cos), table(Math.sin)]);
    }
    case "attention": {
      const kv = [1, n("keys"), n("keyHeads"), n("size")];
      const isCausal = n("tokens") > 1; // a single token sees all keys
      return running((q, k, v) => jax.nn.dotProductAttention(q, k, v, { isCausal }), [
        array([1, n("tokens"), n("heads"), n("size")], 1),
        array(kv, 2),
        array(kv, 3),
      ]);
    }
    case "mlp": {
      const [rows, hidden, inner] = [n("rows"), n("hidden"), n("inner")];
      return running((x, scale, gate, up, down) => {
        const y = rmsNorm(x, scale);
        const g = np.matmul(y.ref, np.transpose(gate));
        const u = np.matmul(y, np.transpose(up));
        return np.matmul(jax.nn.silu(g).mul(u), np.transpose(down));
      }, [
        array([rows, hidden], 1),
        array([hidden], 2),
        array([inner, hidden], 3, 1 / Math.sqrt(hidden)),
        array([inner, hidden], 4, 1 / Math.sqrt(hidden)),
        array([hidden, inner], 5, 1 / Math.sqrt(inner)),
      ]);
    }
    default:
      return { cannot: `the library has no ${work}` };
  }
}

function rmsNorm(x: Arr, weight: Arr): Arr {
  const square = np.mean(x.ref.mul(x.ref), -1, { keepdims: true });
  return x.mul(np.reciprocal(np.sqrt(square.add(1e-5)))).mul(weight);
}
