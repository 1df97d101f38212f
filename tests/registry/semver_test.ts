import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { compareVersions, highestVersion, parseVersion } from "../../sdk/registry/semver.ts";

const ALL = [
  "0.0.3",
  "0.0.4",
  "0.1.0",
  "0.1.9",
  "0.2.0",
  "1.0.0-rc.1",
  "1.0.0",
  "1.2.3",
  "1.2.10",
  "1.10.0",
  "2.0.0-beta.2",
  "2.0.0-beta.11",
  "2.1.0",
  "latest",
];

/** As node-semver has it. */
const TABLE: readonly (readonly [range: string, best: string | undefined])[] = [
  ["*", "2.1.0"],
  ["", "2.1.0"],
  ["1", "1.10.0"],
  ["1.x", "1.10.0"],
  ["1.2", "1.2.10"],
  ["1.2.X", "1.2.10"],
  ["1.2.3", "1.2.3"],
  ["=1.2.3", "1.2.3"],
  ["v1.2.3", "1.2.3"],
  ["^1", "1.10.0"],
  ["^1.2.4", "1.10.0"],
  ["^0.1.0", "0.1.9"],
  ["^0.1", "0.1.9"],
  ["^0", "0.2.0"],
  ["^0.0", "0.0.4"],
  ["^0.0.3", "0.0.3"],
  ["^0.0.5", undefined],
  ["~1.2.3", "1.2.10"],
  ["~1.2", "1.2.10"],
  ["~1", "1.10.0"],
  [">=1.2 <1.10", "1.2.10"],
  [">= 1.2.0 < 1.2.10", "1.2.3"],
  [">1.2", "2.1.0"],
  [">1", "2.1.0"],
  ["<=1.2", "1.2.10"],
  ["<=1.2.3", "1.2.3"],
  ["<0.1", "0.0.4"],
  ["0.1 || 1.2", "1.2.10"],
  ["3 || 0.0.3", "0.0.3"],
  ["^3", undefined],
  ["^2.0.0-beta.1", "2.1.0"],
  ["~2.0.0-beta.1", "2.0.0-beta.11"],
  ["2.0", undefined],
  ["<1.0.0", "0.2.0"],
  ["1.0.0-rc.1", "1.0.0-rc.1"],
];

describe("highestVersion()", () => {
  for (const [range, best] of TABLE) {
    it(`finds ${best ?? "nothing"} for ${JSON.stringify(range)}`, () =>
      assertEquals(highestVersion(ALL, range), best));
  }
  it("cannot read what is no range", () => {
    for (const bad of ["one", "1 - 2", "^", "1.2.3.4", "../..", "1.2.3-"]) {
      assertEquals(highestVersion(ALL, bad), null, bad);
    }
  });
});

describe("compareVersions()", () => {
  it("orders versions as the specification's example does", () => {
    const order = [
      "1.0.0-alpha",
      "1.0.0-alpha.1",
      "1.0.0-alpha.beta",
      "1.0.0-beta",
      "1.0.0-beta.2",
      "1.0.0-beta.11",
      "1.0.0-rc.1",
      "1.0.0",
      "1.0.1",
      "1.1.0",
      "2.0.0",
    ];
    const shuffled = order.toReversed();
    shuffled.sort((a, b) => compareVersions(parseVersion(a)!, parseVersion(b)!));
    assertEquals(shuffled, order);
    assertEquals(compareVersions(parseVersion("1.0.0+a")!, parseVersion("1.0.0+b")!), 0);
  });
});
