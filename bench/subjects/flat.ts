import { storiesModel } from "../llama.ts";
import { Contender } from "../process.ts";
import { RESIDENT } from "../resident.ts";
import type { Report, Subject } from "../subject.ts";

/** Resident memory over many runs. */
export const flatSubject: Subject = {
  name: "flat",
  about:
    "Memory of the process over many forwards with a readback each, half of them eager, half captured. `raw` submits " +
    "and maps as often, one dispatch each: what the runtime lets pile up until it collects its garbage.",
  run: async (effort, say) => {
    const dir = await storiesModel();
    if (!dir) return { notes: ["The stories model is absent: not measured."] };
    const runs = effort.quick ? 2000 : 20000;
    const sides: Side[] = ["ours", "raw"].map((name) => ({
      contender: new Contender({ name, file: `${name}/flat.ts` }),
      resident: [],
      collected: [],
    }));
    try {
      return await measure(sides, dir, runs, say);
    } finally {
      for (const s of sides) await s.contender.end();
    }
  },
};

// ---------------------------------------------------------------------------

const SAMPLES = 40;
const ROWS = 10;

interface Side {
  readonly contender: Contender;
  /** Resident memory after each share of the runs. */
  readonly resident: number[];
  /** After a full collection, when a tenth of the runs and when all are done. */
  readonly collected: { readonly heap: number; readonly resident: number }[];
}

async function measure(
  sides: readonly Side[],
  dir: string,
  runs: number,
  say: (line: string) => void,
): Promise<Report> {
  for (const { contender } of sides) {
    const note = await contender.prepare("flat", { dir });
    if (note !== undefined) return { notes: [`${contender.program.name}: ${note}`] };
  }
  for (let i = 1; i <= SAMPLES; i++) {
    if (i % 4 === 1) say(`flat: ${(i - 1) * runs / SAMPLES} of ${runs} runs`);
    for (const s of sides) {
      await s.contender.ask({ ask: "time", calls: runs / SAMPLES });
      const [now] = await values(s.contender, [RESIDENT.now]);
      s.resident.push(now);
      if (i !== SAMPLES / 10 && i !== SAMPLES) continue;
      const [heap, resident] = await values(s.contender, [RESIDENT.heapAfter, RESIDENT.after]);
      s.collected.push({ heap, resident });
    }
  }
  const [bytes, created] = await values(sides[0].contender, [3, 4]);
  const [ours, raw] = sides.map((s) => growth(s, runs).toFixed(0));
  return {
    facts: table(sides, runs, bytes, created),
    notes: [`Over the last half, ours grows by ${ours} bytes a run, and the raw loop by ${raw}.`],
  };
}

function table(sides: readonly Side[], runs: number, bytes: number, created: number): string[][] {
  const row = (name: string, of: (s: Side) => number) => [name, ...sides.map((s) => of(s).toFixed(0))];
  const rows: string[][] = [["bytes", ...sides.map((s) => s.contender.program.name)]];
  for (let i = SAMPLES / ROWS; i <= SAMPLES; i += SAMPLES / ROWS) {
    rows.push(row(`resident after ${i * runs / SAMPLES}`, (s) => s.resident[i - 1]));
  }
  const half = SAMPLES / 2;
  rows.push(
    row("growth a run over the last half", (s) => growth(s, runs)),
    row("largest less smallest in the last half", (s) => {
      const last = s.resident.slice(half);
      return Math.max(...last) - Math.min(...last);
    }),
  );
  const since = runs * 0.9;
  for (const what of ["heap", "resident"] as const) {
    const name = `${what === "heap" ? "heap in use" : "resident"}, garbage collected`;
    rows.push(
      row(`${name}, after ${runs / 10}`, (s) => s.collected[0][what]),
      row(`${name}, after ${runs}`, (s) => s.collected[1][what]),
      row(`${name}, growth a run`, (s) => (s.collected[1][what] - s.collected[0][what]) / since),
    );
  }
  rows.push(["GPU memory", String(bytes), "–"], ["GPU buffers created (a count)", String(created), "–"]);
  return rows;
}

/** Bytes of resident memory that a run adds, over the last half of the runs. */
function growth({ resident }: Side, runs: number): number {
  return slope(resident.slice(SAMPLES / 2)) * SAMPLES / runs;
}

/** The slope of the line that fits best: what one sample has more than the one before. */
function slope(values: readonly number[]): number {
  const mid = (values.length - 1) / 2;
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const [above, below] = values.reduce(
    ([a, b], v, i) => [a + (i - mid) * (v - mean), b + (i - mid) ** 2],
    [0, 0],
  );
  return above / below;
}

async function values(contender: Contender, at: readonly number[]): Promise<number[]> {
  const said = await contender.ask({ ask: "values", at });
  if ("values" in said) return [...said.values];
  throw new Error("cannot" in said ? said.cannot : "no values");
}
