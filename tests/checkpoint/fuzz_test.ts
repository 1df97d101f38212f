import { assertEquals, assertGreater, assertInstanceOf } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { bytesSource, type Checkpoint, loadCheckpoint, openCheckpoint } from "../../sdk/checkpoint/mod.ts";
import { KernelwrightError } from "../../sdk/errors.ts";
import { fileOf, fileWith } from "./files.ts";
import { treeOf } from "./tree.ts";

const bytes = (n: number) => Uint8Array.from({ length: n }, (_, i) => i);
const GOOD = fileWith({
  "model.a.weight": { dtype: "F32", shape: [2, 3], bytes: bytes(24) },
  "model.b": { dtype: "BF16", shape: [3], bytes: bytes(6) },
  "model.c": { dtype: "I64", shape: [1, 1], bytes: bytes(8) },
  "model.d": { dtype: "BOOL", shape: [], bytes: bytes(1) },
}, { format: "pt" });
const HEADER = new TextDecoder().decode(GOOD.subarray(8, GOOD.length - 39));

let loaded = 0;

/** Reads a file, and loads it where it can be read: either works, or the error is ours. */
async function survives(file: Uint8Array): Promise<void> {
  let checkpoint: Checkpoint;
  try {
    checkpoint = await openCheckpoint(bytesSource(file));
    const model = treeOf(checkpoint.tensors.values());
    await loadCheckpoint(model, checkpoint, { device: "reference", strict: false, nonFinite: "ignore" });
    loaded++;
    for (const t of checkpoint.tensors.values()) assertEquals(t.offset + t.bytes <= file.length, true);
  } catch (error) {
    assertInstanceOf(error, KernelwrightError, `${error} ${(error as Error).stack}`);
  }
}

/** Text that is likely to hurt: pieces of a header in any order. */
const PIECES = [
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  "\\",
  "\0",
  " ",
  "0",
  "-1",
  "1e9",
  "9007199254740993",
  "null",
  "F32",
  "BF16",
]
  .concat([
    '"dtype"',
    '"shape"',
    '"data_offsets"',
    '"__metadata__"',
    '"__proto__"',
    '"a"',
    "\u00e9",
    "\ud800",
    "[0,8]",
  ]);
const piece = fc.constantFrom(...PIECES);
const place = fc.double({ min: 0, max: 1, noNaN: true });
const inBody = fc.double({ min: 1 - 39 / GOOD.length, max: 1, noNaN: true });

const changedHeader = fc.array(
  fc.tuple(place, fc.integer({ min: 0, max: 12 }), fc.array(piece, { maxLength: 3 })),
  {
    minLength: 1,
    maxLength: 4,
  },
).map((edits) =>
  edits.reduce((text, [at, cut, insert]) => {
    const i = Math.floor(at * text.length);
    return text.slice(0, i) + insert.join("") + text.slice(i + cut);
  }, HEADER)
);

describe("the reader, fuzzed", () => {
  const run = (cases: fc.Arbitrary<Uint8Array>, numRuns: number) =>
    fc.assert(fc.asyncProperty(cases, survives), { numRuns });

  it("survives 4000 headers with pieces cut out and put in", () =>
    run(changedHeader.map((h) => fileOf(h, GOOD.subarray(-39))), 4000));

  it("survives 2500 files with bytes changed", async () => {
    loaded = 0;
    await run(
      fc.array(fc.tuple(fc.oneof(place, inBody, inBody, inBody), fc.integer({ min: 0, max: 255 })), {
        minLength: 1,
        maxLength: 6,
      }).map(
        (edits) => {
          const file = GOOD.slice();
          for (const [at, byte] of edits) file[Math.floor(at * file.length) % file.length] = byte;
          return file;
        },
      ),
      2500,
    );
    assertGreater(loaded, 100); // those with changed weights only
  });

  it("survives 1000 files cut off or with bytes added", () =>
    run(
      fc.tuple(place, fc.uint8Array({ maxLength: 20 })).map(([at, more]) =>
        Uint8Array.from([...GOOD.subarray(0, Math.floor(at * GOOD.length)), ...more])
      ),
      1000,
    ));

  it("survives 1500 headers made of nothing but pieces", () =>
    run(fc.array(piece, { maxLength: 30 }).map((p) => fileOf(p.join(""), 16)), 1500));

  it("survives 1000 files with any numbers", () => {
    const number = fc.oneof(
      fc.integer({ min: 0, max: 40 }),
      fc.maxSafeNat(),
      fc.constantFrom(2 ** 31, 2 ** 53, 1e300),
    );
    const tensor = fc.record({
      dtype: fc.constantFrom("F32", "F16", "I64", "U8", "F8_E4M3", "F4"),
      shape: fc.array(number, { maxLength: 4 }),
      data_offsets: fc.array(number, { maxLength: 3 }),
    }, { requiredKeys: [] });
    const header = fc.dictionary(fc.string({ maxLength: 4 }), fc.oneof(tensor, fc.jsonValue()), {
      maxKeys: 4,
    });
    return run(fc.tuple(header, fc.nat(60)).map(([h, n]) => fileOf(JSON.stringify(h), n)), 1000);
  });
});
