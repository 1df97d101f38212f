import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { type Lifetime, packLifetimes, type Slot } from "../../sdk/gpu/capture/lifetimes.ts";

const lifetime = fc.record({ bytes: fc.integer({ min: 1, max: 64 }), first: fc.nat(40), length: fc.nat(10) })
  .map(({ bytes, first, length }): Lifetime => ({ bytes, first, last: first + length }));

const size = (slots: readonly Slot<Lifetime>[]) => slots.reduce((sum, s) => sum + s.bytes, 0);

describe("packLifetimes()", () => {
  it("gives each value a place of its size, in which no other is alive at the same step", () => {
    fc.assert(fc.property(fc.array(lifetime, { maxLength: 60 }), fc.array(lifetime), (values, held) => {
      const fixed = held.map((v) => ({ bytes: v.bytes, values: [{ ...v, last: Infinity }] }));
      const slots = packLifetimes(values, fixed);
      assertEquals(slots.slice(0, fixed.length), fixed);
      const placed = slots.flatMap((s) => s.values);
      assertEquals(placed.length, values.length + held.length);
      assert(values.every((v) => placed.includes(v)));
      for (const { bytes, values } of slots) {
        values.sort((a, b) => a.first - b.first);
        values.forEach((v, i) => assert(v.bytes <= bytes && (i === 0 || values[i - 1].last < v.first)));
      }
    }));
  });

  it("needs no more than every value by itself, and the largest live set where values are alike", () => {
    fc.assert(fc.property(fc.array(lifetime, { maxLength: 60 }), (values) => {
      assert(size(packLifetimes(values)) <= values.reduce((sum, v) => sum + v.bytes, 0));
      const alike = values.map((v) => ({ ...v, bytes: 8 }));
      const live = (at: number) => alike.filter((v) => v.first <= at && at <= v.last).length;
      const most = Math.max(0, ...Array.from({ length: 52 }, (_, at) => live(at)));
      assertEquals(size(packLifetimes(alike)), 8 * most); // intervals by their start: the greedy way is exact
    }));
  });

  it("puts a small value where a large one was", () => {
    const slots = packLifetimes([
      { bytes: 4, first: 3, last: 4 },
      { bytes: 8, first: 0, last: 2 },
      { bytes: 4, first: 1, last: 2 },
    ]);
    assertEquals(slots.map((s) => s.bytes), [8, 4]);
  });
});
