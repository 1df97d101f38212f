import { compare } from "../compare.ts";
import { numbers } from "../data.ts";
import { CAPTURED, EAGER, PEERS, RAW } from "../programs.ts";
import type { Case, Subject } from "../subject.ts";

/** What a dispatch costs when the work in it is next to nothing. */
export const dispatchSubject: Subject = {
  name: "dispatch",
  about: "A chain of small dispatches, each reading what the one before wrote: what recording costs.",
  run: async (effort, say) => {
    const lengths = effort.quick ? [[64, 1000]] : [[64, 1000], [16384, 1000]];
    const cases = lengths.map(([size, length]): Case => ({
      name: `${length} × scale of ${size}`,
      params: { size, length },
      size,
      reference: (at) => at.map((i) => numbers(size, 1)[i] * 0.999 ** length),
    }));
    const programs = [RAW, EAGER, CAPTURED, ...(effort.peers ? PEERS : [])];
    return { rows: await compare("chain", cases, programs, effort, say) };
  },
};
