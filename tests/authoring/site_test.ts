import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { fuses, fusesParallel, replaces } from "@kernelwright/sdk";
import { describeSite, sameSite } from "@kernelwright/sdk/inspect";
import { Linear, LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";
import { assertRefused } from "../helpers/refused.ts";

// deno-lint-ignore no-explicit-any -- what the compiler would not let through
const untyped = fuses as any;

describe("sites", () => {
  it("are the same when kind, names, classes and order are", () => {
    const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });
    assertEquals(sameSite(site, fuses({ norm: RMSNorm }, { mlp: LlamaMLP })), true);
    assertEquals(sameSite(site, fuses({ norm: RMSNorm }, { ffn: LlamaMLP })), false);
    assertEquals(sameSite(site, fuses({ mlp: LlamaMLP }, { norm: RMSNorm })), false);
    assertEquals(sameSite(site, fuses({ norm: RMSNorm }, { mlp: LlamaMLP }, { out: Linear })), false);
    assertEquals(
      sameSite(fuses({ a: Linear }, { b: Linear }), fusesParallel({ a: Linear }, { b: Linear })),
      false,
    );
    assertEquals(sameSite(replaces(RMSNorm), replaces(RMSNorm)), true);
    assertEquals(sameSite(replaces(RMSNorm), replaces(Linear)), false);
  });

  it("cannot be changed", () => {
    const site = replaces(RMSNorm);
    assertEquals([Object.isFrozen(site), Object.isFrozen(site.parts)], [true, true]);
  });

  it("describe themselves", () => {
    assertEquals(describeSite(replaces(RMSNorm)), "replaces RMSNorm");
    assertEquals(
      describeSite(fuses({ norm: RMSNorm }, { mlp: LlamaMLP })),
      "fuses norm: RMSNorm → mlp: LlamaMLP",
    );
    assertEquals(
      describeSite(fusesParallel({ q: Linear }, { k: Linear })),
      "fusesParallel q: Linear, k: Linear",
    );
  });

  it("refuse one part", () =>
    assertRefused(
      () => untyped({ norm: RMSNorm }),
      `
    KW-SIGNATURE-SITE
      fuses takes two parts or more
      Use replaces(…) for one module.`,
    ));
  it("refuse a name given twice", () =>
    assertRefused(
      () => untyped({ a: RMSNorm }, { a: Linear }),
      `
    KW-SIGNATURE-SITE
      Two parts are called "a"
      Give each part a name of its own.`,
    ));
  it("refuse a part with two names", () =>
    assertRefused(
      () => untyped({ a: RMSNorm, b: Linear }, { c: Linear }),
      `
    KW-SIGNATURE-SITE
      Cannot make a site from ["a","b"]
      Give one name and a module class for each part: { norm: RMSNorm }.`,
    ));
  it("refuse a part that is not a class", () =>
    assertRefused(
      () => untyped({ a: "RMSNorm" }, { c: Linear }),
      `
    KW-SIGNATURE-SITE
      Cannot make a site from ["a"]
      Give one name and a module class for each part: { norm: RMSNorm }.`,
    ));
  it("refuse a name with a dot", () =>
    assertRefused(
      () => untyped({ "a.b": RMSNorm }, { c: Linear }),
      `
    KW-SIGNATURE-SITE
      Cannot make a site from ["a.b"]
      Give one name and a module class for each part: { norm: RMSNorm }.`,
    ));
});
