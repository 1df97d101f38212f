import type { KernelConfig, KernelEntry } from "../../sdk/kernelize/mod.ts";

/** Kernels of the examples, and the checkpoints that they fit. */
export interface ExampleKernels {
  /** What tests call them. */
  readonly name: string;
  /** What a kernels.json would say. */
  readonly config: KernelConfig;
  /** Checkpoints, with the dispatches of one token of a generation: of the plain model, and with the kernels. */
  readonly dispatches: Readonly<Record<string, readonly [plain: number, kernels: number]>>;
}

const EXAMPLES = decodeURIComponent(new URL("../../examples", import.meta.url).pathname);
const LAYERS = "model.layers.*";
const ATTENTION: KernelEntry = {
  replace: "LlamaAttention",
  with: `${EXAMPLES}/qkv-attention:QKVAttention`,
};
const PARALLEL: KernelEntry = {
  fuseParallel: [
    ["Linear", `${LAYERS}.self_attn.q_proj`],
    ["Linear", `${LAYERS}.self_attn.k_proj`],
    ["Linear", `${LAYERS}.self_attn.v_proj`],
  ],
  with: `${EXAMPLES}/qkv-parallel:QKVParallel`,
};
const EXPERTS: KernelEntry = {
  replace: "MixtralSparseMoeBlock",
  with: `${EXAMPLES}/stacked-experts:StackedExperts`,
};
const LAYER: KernelEntry = { replace: "LlamaDecoderLayer", with: `${EXAMPLES}/decoder-layer:DecoderLayer` };
const NORM: KernelEntry = { replace: "RMSNorm", with: `${EXAMPLES}/custom-rmsnorm:CustomRMSNorm` };
const MLP: KernelEntry = {
  fuse: [["RMSNorm", `${LAYERS}.post_attention_layernorm`], ["LlamaMLP", `${LAYERS}.mlp`]],
  with: `${EXAMPLES}/rmsnorm-mlp:RMSNormMLP`,
};
const SWIGLU: KernelEntry = { replace: "SiluAndMul", with: `${EXAMPLES}/swiglu:SwiGLU` };

const NORM_EXPERTS: KernelEntry = {
  fuse: [
    ["RMSNorm", `${LAYERS}.post_attention_layernorm`],
    ["MixtralSparseMoeBlock", `${LAYERS}.block_sparse_moe`],
  ],
  with: `${decodeURIComponent(new URL("./norm_experts.ts", import.meta.url).pathname)}:NormExperts`,
};

const [STORIES, QWEN3, MIXTRAL] = ["stories260k", "qwen3-tiny-random", "mixtral-tiny-random"];
const [OLMO2, GRANITE, GEMMA2, GEMMA3] = ["olmo2", "granite", "gemma2", "gemma3"].map((n) =>
  `${n}-tiny-random`
);

/** Each example alone, and those that go together. */
export const EXAMPLE_KERNELS: readonly ExampleKernels[] = [
  {
    name: "qkv-attention",
    config: { kernels: [ATTENTION] },
    dispatches: { [STORIES]: [94, 69], [QWEN3]: [44, 30], [MIXTRAL]: [90, 80] },
  },
  {
    name: "qkv-parallel",
    config: { kernels: [PARALLEL] },
    dispatches: {
      [STORIES]: [94, 84],
      [QWEN3]: [44, 40],
      [MIXTRAL]: [90, 86],
      [OLMO2]: [64, 58],
      [GRANITE]: [66, 60],
      [GEMMA2]: [88, 80],
      [GEMMA3]: [137, 125],
    },
  },
  {
    name: "a norm and the stacked experts",
    config: { kernels: [NORM_EXPERTS, PARALLEL] },
    dispatches: { [MIXTRAL]: [90, 34] },
  },
  { name: "stacked-experts", config: { kernels: [EXPERTS] }, dispatches: { [MIXTRAL]: [90, 38] } },
  {
    name: "decoder-layer",
    config: { kernels: [LAYER] },
    dispatches: { [STORIES]: [94, 34], [QWEN3]: [44, 16] },
  },
  {
    name: "custom-rmsnorm",
    config: { kernels: [NORM] },
    dispatches: {
      [STORIES]: [94, 94],
      [QWEN3]: [44, 44],
      [MIXTRAL]: [90, 90],
      [OLMO2]: [64, 64],
      [GRANITE]: [66, 66],
    },
  },
  {
    name: "rmsnorm-mlp",
    config: { kernels: [MLP] },
    dispatches: { [STORIES]: [94, 74], [QWEN3]: [44, 36], [GRANITE]: [66, 54] },
  },
  {
    name: "swiglu",
    config: { kernels: [SWIGLU] },
    dispatches: {
      [STORIES]: [94, 89],
      [QWEN3]: [44, 42],
      [MIXTRAL]: [90, 82],
      [OLMO2]: [64, 61],
      [GRANITE]: [66, 63],
    },
  },
  {
    name: "qkv-parallel, rmsnorm-mlp and custom-rmsnorm",
    config: { kernels: [NORM, PARALLEL, MLP] },
    dispatches: { [STORIES]: [94, 64], [QWEN3]: [44, 32], [GRANITE]: [66, 48] },
  },
  {
    name: "qkv-attention, stacked-experts and custom-rmsnorm",
    config: { kernels: [NORM, ATTENTION, EXPERTS] },
    dispatches: { [MIXTRAL]: [90, 28] },
  },
];

/** Every pair of kernels and a checkpoint that they fit. */
export function* fittingPairs(): Generator<[kernels: ExampleKernels, model: string]> {
  for (const kernels of EXAMPLE_KERNELS) {
    for (const model of Object.keys(kernels.dispatches)) yield [kernels, model];
  }
}
