/** Many forwards with a readback each, every other one captured: does the process grow? */
import { memory, openGpu, record } from "../../sdk/gpu/mod.ts";
import { loadCausalLM } from "../../sdk/models/mod.ts";
import { argmax } from "../../sdk/ops/mod.ts";
import { keep, scope, Tensor } from "../../sdk/tensor/mod.ts";
import { residentValues } from "../resident.ts";
import { serve } from "../serve.ts";

await openGpu();

await serve(async (_, params) => {
  const model = await loadCausalLM(String(params.dir));
  const ids = Tensor.from(new Int32Array([1, 2, 3, 4]), { shape: [1, 4] });
  const forward = () => argmax(model.call(ids, { logits_to_keep: 1 }));
  const plan = record(forward);
  let captured = false;
  return {
    call: async () => {
      captured = !captured;
      if (captured) return await plan.replay().data();
      using out = keep(scope(forward));
      return await out.data();
    },
    wait: () => Promise.resolve(),
    // Behind the process's own: bytes of GPU memory, and how many buffers were ever made.
    values: (at) => {
      const { bytes, created } = memory();
      const own = residentValues(at.filter((i) => i < 3));
      return Promise.resolve([...own, ...at.filter((i) => i >= 3).map((i) => [bytes, created][i - 3])]);
    },
  };
});
