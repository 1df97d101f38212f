import type { LoadPlan, Sink } from "./plan.ts";
import type { Step, Value } from "./value.ts";

/** Conversions that hang together, and what they fill. Run one group after the other, and only one is in memory. */
export interface Group {
  /** The conversions, each after those that it needs. */
  readonly steps: readonly Step[];
  /** The parameters that they fill. */
  readonly sinks: readonly Sink[];
}

/** The conversions of a plan in groups that share no intermediate tensor. */
export function groupSteps(plan: LoadPlan): Group[] {
  const group = new Map<Step, { steps: Step[]; sinks: Sink[] }>();
  const maker = new Map<Value, Step>();
  for (const step of plan.steps) {
    let own: { steps: Step[]; sinks: Sink[] } = { steps: [step], sinks: [] };
    group.set(step, own);
    for (const v of step.outputs) maker.set(v, step);
    for (const v of step.inputs) {
      const other = maker.has(v) ? group.get(maker.get(v)!)! : own;
      if (other === own) continue;
      for (const s of own.steps) {
        other.steps.push(s);
        group.set(s, other);
      }
      own = other;
    }
  }
  for (const sink of plan.sinks) {
    const step = maker.get(sink.value);
    if (step) group.get(step)!.sinks.push(sink);
  }
  return [...new Set(group.values())];
}

/** What is filled straight from a file. */
export function directSinks(plan: LoadPlan): Sink[] {
  return plan.sinks.filter((s) => s.value.entry !== undefined);
}
