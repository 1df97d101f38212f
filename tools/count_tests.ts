/**
 * True counts from a JUnit report of `deno test`.
 *
 * Deno lists a test that has steps (a `describe`) beside its steps, as `outer` and `outer > inner`. Only what
 * has nothing below it is a case; a group is counted where it failed and none of its cases did, as happens
 * when a `beforeAll` throws.
 *
 * @module
 */

/** How many cases ended how. */
export interface Counts {
  /** Cases that ran and held. */
  passed: number;
  /** Cases that ran and did not hold, or were cut off. */
  failed: number;
  /** Cases that were left out on purpose. */
  skipped: number;
}

/** Reads the report of one test file. */
export function countTests(junit: string): Counts {
  const cases = [...junit.matchAll(/<testcase name="([^"]*)"[^>]*?(?:\/>|>([^]*?)<\/testcase>)/g)].map(
    ([, name = "", body = ""]) => ({
      path: `${name}${STEP}`,
      state: /<(failure|error)\b/.test(body) ? "failed" : /<skipped\b/.test(body) ? "skipped" : "passed",
    } as const),
  );
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { path, state } of cases) {
    const below = cases.filter((other) => other.path !== path && other.path.startsWith(path));
    if (below.length === 0) counts[state]++;
    else if (state === "failed" && !below.some((other) => other.state === "failed")) counts.failed++;
  }
  return counts;
}

/** Adds up. */
export function sumCounts(all: Counts[]): Counts {
  const sum: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const counts of all) {
    sum.passed += counts.passed;
    sum.failed += counts.failed;
    sum.skipped += counts.skipped;
  }
  return sum;
}

/** The line that closes a test run; machines read it. */
export function closingLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** What Deno puts between a test and its step, as XML has it. */
const STEP = " &gt; ";
