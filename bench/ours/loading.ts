/** Loading as a contender: plain, with kernels (weights converted on the way), and by hand. */
import { currentGpu, openGpu } from "../../sdk/gpu/mod.ts";
import { loadCausalLM } from "../../sdk/models/mod.ts";
import { serve } from "../serve.ts";

const [mode = "plain"] = Deno.args;
await openGpu();
const gpu = currentGpu();

await serve((_, params) => {
  const dir = String(params.dir);
  const kernels = mode === "kernels"
    ? decodeURIComponent(new URL("../../kernels.json", import.meta.url).pathname)
    : undefined;
  const load = async () => {
    using _model = await loadCausalLM(dir, { kernels }); // waits for the GPU before the model gets its weights
  };
  return Promise.resolve({
    call: mode === "raw" ? () => byHand(`${dir}/model.safetensors`) : load,
    wait: () => Promise.resolve(),
    values: () => Promise.resolve([]),
  });
});

async function byHand(file: string): Promise<void> {
  const bytes = await Deno.readFile(file);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const buffers: GPUBuffer[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [from, to] = (entry as { data_offsets: [number, number] }).data_offsets;
    const buffer = gpu.device.createBuffer({ size: to - from, usage: 0x80 | 0x08 });
    gpu.device.queue.writeBuffer(buffer, 0, bytes, 8 + length + from, to - from);
    buffers.push(buffer);
  }
  gpu.device.queue.submit([]);
  await gpu.device.queue.onSubmittedWorkDone();
  for (const b of buffers) b.destroy();
}
