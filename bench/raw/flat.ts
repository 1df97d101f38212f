/** As many plain submits and readbacks, of a dispatch each: what the runtime and the driver grow by on their own. */
import { residentValues } from "../resident.ts";
import { serve } from "../serve.ts";
import { prepareChain } from "./chain.ts";
import { openRaw } from "./gpu.ts";

const gpu = await openRaw();

await serve(async () => {
  const { call, wait, drop } = await prepareChain(gpu, { size: 256, length: 1 });
  let turn = performance.now();
  return {
    call: async () => {
      call();
      await wait();
      // Mapping's promises are settled when the event loop turns.
      if (performance.now() - turn < 50) return;
      await new Promise((resolve) => setTimeout(resolve, 0));
      turn = performance.now();
    },
    wait: () => Promise.resolve(),
    values: (at) => Promise.resolve(residentValues(at)),
    drop,
  };
});
