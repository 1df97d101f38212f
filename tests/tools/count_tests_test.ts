import { describe, it } from "@std/testing/bdd";
import { assertEquals } from "@std/assert";
import { closingLine, countTests, sumCounts } from "../../tools/count_tests.ts";

/** A report as Deno writes it; a state is the inside of the case. */
function report(cases: [name: string, state?: string][]): string {
  const lines = cases.map(([name, state = ""]) =>
    `        <testcase name="${name}" classname="./a_test.ts" time="0.001" line="1" col="1">\n${state}</testcase>`
  );
  return `<testsuites><testsuite name="./a_test.ts">\n${lines.join("\n")}\n</testsuite></testsuites>`;
}
const FAILED = `<failure message="x">Error: &lt;skipped/&gt;</failure>`;

describe("countTests()", () => {
  it("counts a test without steps", () => {
    assertEquals(countTests(report([["a"], ["b", FAILED], ["c", "<skipped/>"]])), {
      passed: 1,
      failed: 1,
      skipped: 1,
    });
  });

  it("counts steps and not their groups", () => {
    const groups = report([["g"], ["g &gt; a"], ["g &gt; inner"], ["g &gt; inner &gt; b"], ["ga"]]);
    assertEquals(countTests(groups), { passed: 3, failed: 0, skipped: 0 });
  });

  it("counts a failed step once", () => {
    const groups = report([["g", FAILED], ["g &gt; a", FAILED], ["g &gt; b"]]);
    assertEquals(countTests(groups), { passed: 1, failed: 1, skipped: 0 });
  });

  it("counts a group that failed by itself", () => {
    assertEquals(countTests(report([["g", FAILED], ["g &gt; a"]])), { passed: 1, failed: 1, skipped: 0 });
  });

  it("takes what was cut off for failed", () => {
    assertEquals(countTests(report([["a", `<error message="Cancelled"/>`]])).failed, 1);
  });

  it("finds nothing in an empty report", () => {
    assertEquals(countTests(""), { passed: 0, failed: 0, skipped: 0 });
  });
});

describe("closingLine()", () => {
  it("names skipped tests only when there are any", () => {
    assertEquals(closingLine({ passed: 3, failed: 0, skipped: 0 }), "3 passed, 0 failed");
    const sum = sumCounts([{ passed: 3, failed: 1, skipped: 0 }, { passed: 1, failed: 0, skipped: 2 }]);
    assertEquals(closingLine(sum), "4 passed, 1 failed, 2 skipped");
  });
});
