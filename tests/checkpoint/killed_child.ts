/** Run by `killed_test.ts`, which kills it: saves other weights over a folder, again and again, or for ever. */
import { loadCheckpoint, saveCheckpoint } from "../../sdk/checkpoint/mod.ts";
import { checkpointOf, f32 } from "./files.ts";
import { treeOf } from "./tree.ts";

const [folder, how] = Deno.args;
const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
const models = await Promise.all([2, 3].map(async (value) => {
  const wide = f32([20_000], new Array(20_000).fill(value));
  const checkpoint = await checkpointOf({ a: wide, b: wide, c: wide });
  const model = treeOf(checkpoint.tensors.values());
  await loadCheckpoint(model, checkpoint, { device: "reference" });
  return model;
}));
const stuck = {
  name: "README.md",
  size: 8,
  read: () => {
    say("in the middle");
    return new Promise<Uint8Array<ArrayBuffer>>(() => setTimeout(() => {}, 100_000));
  },
};
for (let n = 0; n < 10_000; n++) {
  const text = String(2 + n % 2);
  await saveCheckpoint(models[n % 2], folder, {
    maxShardSize: 80_000,
    extra: [
      { name: "config.json", from: new TextEncoder().encode(text) },
      ...how === "stuck" ? [{ name: "README.md", from: stuck }] : [],
    ],
    remove: ["kernels.json"],
  });
  say(`saved ${n}`);
}
