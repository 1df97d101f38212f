/** ONNX Runtime Web on WebGPU: a session for each case, input and output in GPU buffers. */
import { numbers, numbersAs } from "../data.ts";
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

function norm(input: string, output: string): Node {
  return {
    op: "SimplifiedLayerNormalization",
    inputs: [input, "scale"],
    output,
    attributes: { axis: { int: 1 }, epsilon: 1e-5 },
  };
}
