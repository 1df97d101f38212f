import { spread } from "../compare.ts";
import { factsOf } from "../facts.ts";
import { generatedLlama, storiesModel } from "../llama.ts";
import type { Subject } from "../subject.ts";

/** The first call of a fresh process against its second. */
export const firstCallSubject: Subject = {
  name: "first-call",
  about:
    "A prompt of 8 and one token more, the first and the second time in a fresh process; milliseconds, medians.",
  run: async (effort, say) => {
    const stories = await storiesModel();
    const dirs: [string, string][] = stories ? [["stories", stories]] : [];
    if (!effort.quick) dirs.push(["llama 512 × 8", await generatedLlama()]);
    const facts = [["model", "ready()", "load", "ready", "first", "second", "first / second (min–max)"]];
    for (const [name, dir] of dirs) {
      for (const ready of ["no", "yes"]) {
        say(`first-call ${name} ${ready === "yes" ? "after ready()" : "without ready()"}`);
        const runs: Awaited<ReturnType<typeof factsOf>>[] = [];
        for (let i = 0; i < Math.min(5, effort.rounds); i++) {
          runs.push(await factsOf("first-call", { dir, ready }));
        }
        if (runs[0].failed !== undefined) {
          facts.push([name, ready, String(runs[0].failed)]);
          continue;
        }
        const middle = (key: string) => spread(runs.map((r) => Number(r[key]))).median.toFixed(0);
        const ratio = spread(runs.map((r) => Number(r.first) / Number(r.second)));
        facts.push([
          name,
          ready,
          ...["load", "ready", "first", "second"].map(middle),
          `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)})`,
        ]);
      }
    }
    return { facts };
  },
};
