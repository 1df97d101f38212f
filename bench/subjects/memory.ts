import { factsOf } from "../facts.ts";
import { generatedLlama, storiesModel } from "../llama.ts";
import type { Subject } from "../subject.ts";

/** The GPU memory of a captured decode step. */
export const memorySubject: Subject = {
  name: "memory",
  about:
    "GPU memory of a captured decode step, in bytes. The peak of the replays should be at most weights + cache + " +
    "twice the largest live set: the values of a step that are needed at the same time.",
  run: async (effort, say) => {
    const dir = effort.quick ? await storiesModel() : await generatedLlama();
    if (!dir) return { notes: ["The stories model is absent: not measured."] };
    say("memory");
    const f = await factsOf("memory", { dir });
    const n = (key: string) => Number(f[key]);
    const bound = n("weights") + n("cache") + 2 * n("largest live set");
    return {
      facts: [["", "bytes"], ...Object.entries(f).map(([k, v]) => [k, String(v)]), ["bound", String(bound)]],
      notes: [`The peak is ${n("peak") <= bound ? "within" : `${n("peak") - bound} bytes above`} the bound.`],
    };
  },
};
