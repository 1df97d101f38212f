/** The raw contender: kernels written for one shape each, with the sizes as literals. */
import type { Prepare } from "../protocol.ts";
import { serve } from "../serve.ts";
import { prepareAttention } from "./attention.ts";
import { prepareChain } from "./chain.ts";
import { openRaw } from "./gpu.ts";
import { prepareLinear } from "./linear.ts";
import { prepareMlp } from "./mlp.ts";
import { prepareRows } from "./rows.ts";

const gpu = await openRaw();

const prepare: Prepare = (work, params) => {
  switch (work) {
    case "chain":
      return prepareChain(gpu, params);
    case "linear":
      return prepareLinear(gpu, params);
    case "rms_norm":
    case "softmax":
    case "rope":
      return prepareRows(gpu, work, params);
    case "attention":
      return prepareAttention(gpu, params);
    case "mlp":
      return prepareMlp(gpu, params);
    default:
      return Promise.resolve({ cannot: "no raw version" });
  }
};

await serve(prepare);
