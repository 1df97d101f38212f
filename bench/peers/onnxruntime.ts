/** ONNX Runtime Web on WebGPU: a session for each case, input and output in GPU buffers. */
import { numbers, numbersAs, rotations } from "../data.ts";
import type { Params, Prepared } from "../protocol.ts";
import { serve } from "../serve.ts";
import { load } from "./load.ts";
import { type Node, onnxModel, type Value } from "./onnx_model.ts";

const ort = await load("onnxruntime-web/webgpu");
ort.env.logLevel = "error";

interface Graph {
  readonly nodes: readonly Node[];
  readonly constants: readonly Value[];
  readonly input: Value;
  readonly shape: readonly number[];
  readonly dtype?: string;
}

await serve(async (work, params) => {
  const graph = graphOf(work, params);
  return graph ? await running(graph) : { cannot: `no graph was written for ${work}` };
});

async function running({ nodes, constants, input, shape, dtype = "f32" }: Graph): Promise<Prepared> {
  const bytes = onnxModel(dtype, nodes, constants, input, { name: "out", shape });
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: ["webgpu"],
    preferredOutputLocation: "gpu-buffer",
    graphOptimizationLevel: "all",
    extra: { session: { disable_cpu_ep_fallback: "1" } }, // what WebGPU cannot do is an error
  });
  const device: GPUDevice = await ort.env.webgpu.device;
  const data = input.data!;
  const buffer = device.createBuffer({ size: Math.max(16, data.byteLength), usage: 0x80 | 0x04 | 0x08 });
  device.queue.writeBuffer(buffer, 0, data);
  const type = dtype === "f16" ? "float16" : "float32";
  const x = ort.Tensor.fromGpuBuffer(buffer, { dataType: type, dims: [...input.shape] });
  // deno-lint-ignore no-explicit-any -- the library is loaded without its types
  let out: any;
  return {
    call: async () => {
      out?.dispose();
      out = (await session.run({ x })).out;
    },
    wait: async () => {
      await device.queue.onSubmittedWorkDone();
    },
    values: async (at) => {
      const values = await out.getData();
      const numbers = dtype === "f16" && values instanceof Uint16Array
        ? new Float16Array(values.buffer)
        : values;
      return at.map((i) => Number(numbers[i]));
    },
    drop: () => {
      out?.dispose();
      session.release();
      buffer.destroy();
    },
  };
}

function graphOf(work: string, p: Params): Graph | undefined {
  const n = (name: string) => Number(p[name]);
  const value = (name: string, shape: number[], seed: number, size = 1): Value => ({
    name,
    shape,
    data: numbers(shape.reduce((a, b) => a * b, 1), seed, size),
  });
  const transposed = { transB: { int: 1 } };
  switch (work) {
    case "chain": {
      const length = n("length");
      const nodes = Array.from({ length }, (_, i): Node => ({
        op: "Mul",
        inputs: [i === 0 ? "x" : `y${i}`, "factor"],
        output: i === length - 1 ? "out" : `y${i + 1}`,
      }));
      const factor = { name: "factor", shape: [1], data: Float32Array.of(0.999) };
      return { nodes, constants: [factor], input: value("x", [n("size")], 1), shape: [n("size")] };
    }
    case "linear": {
      const dtype = String(p.dtype);
      const typed = (name: string, rows: number, columns: number, seed: number): Value => {
        const values = numbersAs(dtype, rows * columns, seed);
        return { name, shape: [rows, columns], data: dtype === "f16" ? Float16Array.from(values) : values };
      };
      return {
        nodes: [{ op: "Gemm", inputs: ["x", "w"], output: "out", attributes: transposed }],
        constants: [typed("w", n("columns"), n("depth"), 2)],
        input: typed("x", n("rows"), n("depth"), 1),
        shape: [n("rows"), n("columns")],
        dtype,
      };
    }
    case "rms_norm":
      return {
        nodes: [norm("x", "out")],
        constants: [value("scale", [n("width")], 2)],
        input: value("x", [n("rows"), n("width")], 1),
        shape: [n("rows"), n("width")],
      };
    case "softmax":
      return {
        nodes: [{ op: "Softmax", inputs: ["x"], output: "out" }],
        constants: [],
        input: value("x", [n("rows"), n("width")], 1, 4),
        shape: [n("rows"), n("width")],
      };
    case "rope": {
      const [tokens, heads, size] = [n("rows"), n("heads"), n("size")];
      const table = (name: string, of: (angle: number) => number): Value => ({
        name,
        shape: [tokens, size / 2],
        data: rotations(tokens, size, of),
      });
      const places = BigInt64Array.from({ length: tokens }, (_, i) => BigInt(i));
      return {
        nodes: [{
          op: "RotaryEmbedding",
          domain: "com.microsoft",
          inputs: ["x", "places", "cos", "sin"],
          output: "out",
        }],
        constants: [
          { name: "places", shape: [1, tokens], data: places },
          table("cos", Math.cos),
          table("sin", Math.sin),
        ],
        input: value("x", [1, tokens, heads * size], 1),
        shape: [1, tokens, heads * size],
      };
    }
    case "attention":
      return attentionGraph(n("tokens"), n("keys"), n("heads"), n("keyHeads"), n("size"));
    case "mlp": {
      const [rows, hidden, inner] = [n("rows"), n("hidden"), n("inner")];
      const gemm = (x: string, w: string, output: string): Node => ({
        op: "Gemm",
        inputs: [x, w],
        output,
        attributes: transposed,
      });
      return {
        nodes: [
          norm("x", "y"),
          gemm("y", "gate", "g"),
          gemm("y", "up", "u"),
          { op: "Sigmoid", inputs: ["g"], output: "s" },
          { op: "Mul", inputs: ["g", "s"], output: "a" },
          { op: "Mul", inputs: ["a", "u"], output: "b" },
          gemm("b", "down", "out"),
        ],
        constants: [
          value("scale", [hidden], 2),
          value("gate", [inner, hidden], 3, 1 / Math.sqrt(hidden)),
          value("up", [inner, hidden], 4, 1 / Math.sqrt(hidden)),
          value("down", [hidden, inner], 5, 1 / Math.sqrt(inner)),
        ],
        input: value("x", [rows, hidden], 1),
        shape: [rows, hidden],
      };
    }
  }
}

/** The run's own keys and values are inputs of their own, behind a cache that is laid out head by head. */
function attentionGraph(tokens: number, keys: number, heads: number, keyHeads: number, size: number): Graph {
  const before = keys - tokens;
  const wide = keyHeads * size;
  const [k, v] = [numbers(keys * wide, 2), numbers(keys * wide, 3)];
  const past = (all: Float32Array) =>
    Float32Array.from({ length: before * wide }, (_, i) => {
      const [head, token, d] = [Math.floor(i / (before * size)), Math.floor(i / size) % before, i % size];
      return all[(token * keyHeads + head) * size + d];
    });
  const constants: Value[] = [
    { name: "k", shape: [1, tokens, wide], data: k.slice(before * wide) },
    { name: "v", shape: [1, tokens, wide], data: v.slice(before * wide) },
    { name: "last", shape: [1], data: Int32Array.of(keys - 1) },
    { name: "keys", shape: [], data: Int32Array.of(keys) },
  ];
  if (before > 0) {
    constants.push(
      { name: "past_k", shape: [1, keyHeads, before, size], data: past(k) },
      { name: "past_v", shape: [1, keyHeads, before, size], data: past(v) },
    );
  }
  return {
    nodes: [{
      op: "GroupQueryAttention",
      domain: "com.microsoft",
      inputs: ["x", "k", "v", ...(before > 0 ? ["past_k", "past_v"] : ["", ""]), "last", "keys"],
      output: ["out", "all_k", "all_v"],
      attributes: { num_heads: { int: heads }, kv_num_heads: { int: keyHeads } },
    }],
    constants,
    input: { name: "x", shape: [1, tokens, heads * size], data: numbers(tokens * heads * size, 1) },
    shape: [1, tokens, heads * size],
  };
}

function norm(input: string, output: string): Node {
  return {
    op: "SimplifiedLayerNormalization",
    inputs: [input, "scale"],
    output,
    attributes: { axis: { int: 1 }, epsilon: 1e-5 },
  };
}
