/**
 * Contenders against each other, in turn.
 *
 *   round 1:  raw  ours  captured  peer …      each: time of n calls, less the time of one: the wait at the end,
 *   round 2:  raw  ours  captured  peer …      which costs the same for one call as for many, cancels out
 *
 * Ratios are taken within a round, so that a machine that others use too slows both sides of a ratio.
 */
import { median } from "../sdk/gpu/mod.ts";
import { places } from "./data.ts";
import { Contender, type Program } from "./process.ts";
import type { Case, Effort, Row, Score, Spread } from "./subject.ts";

/** Runs the cases with every program; the first one is what the others are held against. */
export async function compare(
  work: string,
  cases: readonly Case[],
  programs: readonly Program[],
  effort: Effort,
  say: (line: string) => void,
): Promise<Row[]> {
  const contenders = programs.map((p) => new Contender(p));
  const rows: Row[] = [];
  try {
    for (const c of cases) {
      say(`${work} ${c.name}`);
      rows.push(await compareCase(work, c, contenders, effort));
    }
  } finally {
    await Promise.all(contenders.map((c) => c.end()));
  }
  return rows;
}

/** Smallest, middle and largest. */
export function spread(values: readonly number[]): Spread {
  return { min: Math.min(...values), median: median(values), max: Math.max(...values) };
}

// ---------------------------------------------------------------------------

interface Turn {
  readonly contender: Contender;
  readonly name: string;
  note?: string;
  error?: number;
  calls: number;
  readonly ones: number[];
  readonly trains: number[];
}

async function compareCase(
  work: string,
  c: Case,
  contenders: readonly Contender[],
  effort: Effort,
): Promise<Row> {
  const at = places(c.size ?? 0);
  const expected = c.size && c.reference ? await c.reference(at) : undefined;
  const turns: Turn[] = [];
  for (const contender of contenders) {
    const turn: Turn = { contender, name: contender.program.name, calls: 0, ones: [], trains: [] };
    turns.push(turn);
    turn.note = await contender.prepare(work, c.params);
    if (turn.note !== undefined) continue;
    if (expected) {
      checkValues(turn, await contender.ask({ ask: "values", at }), expected, c);
    }
    if (turn.note !== undefined) continue; // a wrong answer is not timed
    turn.calls = c.calls ?? await fillTrain(contender, effort.train);
  }
  for (let round = 0; round < effort.rounds; round++) {
    for (const turn of turns) {
      if (turn.calls < 2) continue;
      turn.ones.push(await time(turn.contender, 1));
      turn.trains.push(await time(turn.contender, turn.calls));
    }
  }
  for (const turn of turns) await turn.contender.ask({ ask: "drop" });
  return { name: c.name, scores: turns.map((turn) => score(turn, turns[0])) };
}

function score(turn: Turn, baseline: Turn): Score {
  const { name, note, error } = turn;
  const times = timesOf(turn);
  const good = times.filter((t) => t > 0);
  if (good.length === 0) return { name, error, note: note ?? "too short to be timed" };
  const base = timesOf(baseline);
  const ratios = turn === baseline
    ? []
    : times.map((t, i) => t / base[i]).filter((r) => r > 0 && r < Infinity);
  return { name, note, error, ms: spread(good), ratio: ratios.length > 0 ? spread(ratios) : undefined };
}

/** Milliseconds a call in each round. The wait's cost is the same each time: its best measurement holds for all. */
function timesOf({ ones, trains, calls }: Turn): number[] {
  const one = Math.min(...ones);
  return trains.map((train) => (train - one) / (calls - 1));
}

function checkValues(
  turn: Turn,
  said: Awaited<ReturnType<Contender["ask"]>>,
  expected: ArrayLike<number>,
  { params, tolerance = 1e-4 }: Case,
): void {
  if (!("values" in said)) {
    turn.note = "cannot" in said ? said.cannot : "no values";
    return;
  }
  const want = Array.from(expected);
  const largest = want.reduce((m, v) => Math.max(m, Math.abs(v)), 0) || 1;
  turn.error = want.reduce((m, v, i) => Math.max(m, Math.abs(v - said.values[i]) / largest), 0);
  if (turn.error <= tolerance) return;
  const what = params.dtype === "f16" ? "its f16 sums are" : "it is";
  const [off, allowed] = [turn.error.toExponential(2), tolerance.toExponential(0)];
  turn.note = `WRONG and so not timed: ${what} off by ${off}, more than the ${allowed} allowed`;
}

/** How many calls take about as long as a train should. */
async function fillTrain(contender: Contender, wanted: number): Promise<number> {
  const one = Math.min(await time(contender, 1), await time(contender, 1));
  for (let calls = 2;; calls *= 4) {
    const ms = await time(contender, calls) - one;
    if (Number.isNaN(ms)) return 0;
    if (ms > wanted / 4 || calls >= 4096) {
      return Math.min(4096, Math.max(2, Math.round(calls * wanted / Math.max(0.1, ms))));
    }
  }
}

async function time(contender: Contender, calls: number): Promise<number> {
  const said = await contender.ask({ ask: "time", calls });
  return "ms" in said ? said.ms : NaN;
}
