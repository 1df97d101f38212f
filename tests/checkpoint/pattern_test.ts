import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  expandRule,
  matchPattern,
  nameTargets,
  rename,
  stackList,
  unstackList,
  WeightConverter,
  WeightRenaming,
} from "../../sdk/authoring/conversions/mod.ts";
import { KernelwrightError } from "../../sdk/errors.ts";

const shown = (rules: ReturnType<typeof expandRule>) =>
  rules.map((r) => `${r.from.join(" ")} → ${r.to.join(" ")}`);

describe("patterns of keys", () => {
  it("* is one segment, ** one or more, and everything else is taken literally", () => {
    assertEquals(matchPattern("a.*.c", "a.b.c"), ["b"]);
    assertEquals(matchPattern("a.*.c", "a.b.b.c"), undefined);
    assertEquals(matchPattern("a.**", "a.b.c"), ["b.c"]);
    assertEquals(matchPattern("a.b+(c).*", "a.b+(c).d"), ["d"]);
    assertEquals(matchPattern("a.c", "abc"), undefined);
  });

  it("WeightRenaming gives each key that matches another name", () => {
    const rules = expandRule(new WeightRenaming("bert.*.gamma", "*.weight"), [
      "bert.x.gamma",
      "bert.y.gamma",
      "other",
    ]);
    assertEquals(shown(rules), ["bert.x.gamma → x.weight", "bert.y.gamma → y.weight"]);
    assertEquals(shown(expandRule(new WeightRenaming("t.**", "**"), ["t.a.b"])), ["t.a.b → a.b"]);
  });

  it("WeightConverter makes one conversion for each shared wildcard, and sorts lists as numbers", () => {
    const rule = new WeightConverter("l.*.e.*.w", "l.*.w", [stackList()]);
    const keys = [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map((e) => `l.0.e.${e}.w`);
    assertEquals(shown(expandRule(rule, [...keys, "l.3.e.0.w"])), [
      `${keys.toReversed().join(" ")} → l.0.w`,
      "l.3.e.0.w → l.3.w",
    ]);
  });

  it("nameTargets() writes a list of targets out", () => {
    const [rule] = expandRule(new WeightConverter("l.*.w", "l.*.e.*.w", [unstackList()]), ["l.5.w"]);
    assertEquals(nameTargets(rule, 3), ["l.5.e.0.w", "l.5.e.1.w", "l.5.e.2.w"]);
    assertEquals(nameTargets(rename("a", "b"), 1), ["b"]);
  });

  it("refuses a list with a gap, naming what is missing", () => {
    const rule = new WeightConverter("e.*.w", "w", [stackList()]);
    const error = assertThrows(() => expandRule(rule, ["e.0.w", "e.1.w", "e.3.w"]), KernelwrightError);
    assertEquals(
      error.message,
      `KW-CONVERT-SOURCE
  Cannot convert e.*.w → w: stackList: there is no "e.2.w"
  Check that the file is of this model, and whole.`,
    );
  });

  it("refuses a group of which only some sources are there", () => {
    const rule = new WeightConverter(["l.*.a", "l.*.b"], "l.*.ab", []);
    const error = assertThrows(() => expandRule(rule, ["l.0.a", "l.0.b", "l.1.a"]), KernelwrightError);
    assertEquals(error.diagnostic.what, 'Cannot convert l.*.a, l.*.b → l.*.ab: there is no "l.1.b"');
    assertEquals(expandRule(rule, ["x"]), []);
  });

  it("refuses patterns that are not well formed", () => {
    for (const pattern of ["a.b*", "", "a..b", "**.a.**"]) {
      const error = assertThrows(() => new WeightConverter(pattern, "x", []), KernelwrightError);
      assertEquals(error.code, "KW-CONVERT-PATTERN", pattern);
    }
    assertThrows(() => new WeightRenaming("a.*", "a"), KernelwrightError, "they have not the same wildcards");
    assertThrows(() => new WeightConverter([], "a", []), KernelwrightError, "without sources and targets");
  });
});
