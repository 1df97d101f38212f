import { compare } from "../compare.ts";
import { generatedLlama, storiesModel } from "../llama.ts";
import type { Program } from "../programs.ts";
import type { Case, Subject } from "../subject.ts";

/** From files to parameters on the GPU. */
export const loadingSubject: Subject = {
  name: "loading",
  about:
    "From a folder to weights on the GPU. `raw` reads the file whole and uploads each tensor, and checks nothing; its " +
    "wait, `onSubmittedWorkDone`, takes 10 ms in Deno.",
  run: async (effort, say) => {
    const program = (name: string): Program => ({ name, file: "ours/loading.ts", args: [name] });
    const stories = await storiesModel();
    const dirs: [string, string][] = stories ? [["stories", stories]] : [];
    if (!effort.quick) dirs.push(["llama 512 × 8", await generatedLlama()]);
    const cases = dirs.map(([name, dir]): Case => ({
      name,
      params: { dir },
      calls: name === "stories" ? 9 : 2,
    }));
    return {
      rows: await compare(
        "loading",
        cases,
        [program("raw"), program("plain"), program("kernels")],
        effort,
        say,
      ),
    };
  },
};
