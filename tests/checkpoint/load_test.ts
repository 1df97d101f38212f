import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  concatenate,
  stackList,
  transpose,
  unstackList,
  WeightConverter,
  WeightRenaming,
} from "../../sdk/authoring/mod.ts";
import {
  bytesSource,
  formatLoadReport,
  loadCheckpoint,
  type LoadOptions,
  openCheckpoint,
  originOf,
  type Source,
} from "../../sdk/checkpoint/mod.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import type { Module } from "../../sdk/nn/mod.ts";
import { type DType, parameter } from "../../sdk/tensor/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";
import { checkpointOf, f32, fileWith, type GivenTensor, messageOf } from "./files.ts";
import { parameterAt, put, Tree, treeOf } from "./tree.ts";

const SHAPES = [{ key: "a.w", shape: [2, 3] }, { key: "a.b", shape: [3] }, { key: "c", shape: [4] }];
const TENSORS = { "a.w": f32([2, 3]), "a.b": f32([3]), c: f32([4]) };

async function values(model: Module, path: string): Promise<number[]> {
  return Array.from(await parameterAt(model, path).data(), Number);
}

/** Runs with a tree of these keys, and frees it. */
async function withTree(
  entries: Iterable<{ key: string; shape: readonly number[] }>,
  use: (model: Tree) => Promise<void>,
): Promise<void> {
  const model = treeOf(entries);
  try {
    await use(model);
  } finally {
    model.dispose();
  }
}

const isMeta = (model: Module) => [...model.namedParameters()].every(([, p]) => p.device === "meta");

describe("loadCheckpoint()", () => {
  gpuForFile();

  for (const device of ["webgpu", "reference"] as const) {
    it(`fills every parameter by its path (${device})`, () =>
      withTree(SHAPES, async (model) => {
        const report = await loadCheckpoint(model, await checkpointOf(TENSORS), { device });
        assertEquals(report.loaded, ["a.w", "a.b", "c"]);
        assertEquals(report.bytes, 52);
        assertEquals([report.missing, report.unexpected, report.mismatched, report.nonFinite], [
          [],
          [],
          [],
          [],
        ]);
        assertEquals(await values(model, "a.w"), [1, 2, 3, 4, 5, 6]);
        assertEquals(parameterAt(model, "c").device, device);
        assertEquals(originOf(model)?.files[0].tensors.length, 3);
      }));

    it(`loads every dtype that there is a place for (${device})`, async () => {
      const model = new Tree();
      const wanted: [string, DType, GivenTensor, number[]][] = [
        ["f64", "f32", { dtype: "F64", shape: [2], bytes: raw(new Float64Array([0.1, -2])) }, [
          Math.fround(0.1),
          -2,
        ]],
        ["f16", "f32", { dtype: "F16", shape: [2], bytes: raw(new Float16Array([0.1, -2])) }, [
          Math.f16round(0.1),
          -2,
        ]],
        ["bf16", "f32", { dtype: "BF16", shape: [3], bytes: raw(new Uint16Array([0x3f80, 0xc000, 1])) }, [
          1,
          -2,
          2 ** -133,
        ]],
        ["i64", "i32", { dtype: "I64", shape: [2], bytes: raw(new BigInt64Array([-5n, 2147483647n])) }, [
          -5,
          2147483647,
        ]],
        ["u64", "u32", { dtype: "U64", shape: [1], bytes: raw(new BigUint64Array([4294967295n])) }, [
          4294967295,
        ]],
        ["i32", "i32", { dtype: "I32", shape: [1], bytes: raw(new Int32Array([-7])) }, [-7]],
        ["u32", "u32", { dtype: "U32", shape: [1], bytes: raw(new Uint32Array([7])) }, [7]],
        ["i16", "i32", { dtype: "I16", shape: [3], bytes: raw(new Int16Array([-7, 1, 32767])) }, [
          -7,
          1,
          32767,
        ]],
        ["u16", "u32", { dtype: "U16", shape: [1], bytes: raw(new Uint16Array([65535])) }, [65535]],
        ["i8", "i32", { dtype: "I8", shape: [3], bytes: raw(new Int8Array([-128, 0, 127])) }, [-128, 0, 127]],
        ["u8", "u8", { dtype: "U8", shape: [3], bytes: raw(new Uint8Array([0, 1, 255])) }, [0, 1, 255]],
        ["bool", "bool", { dtype: "BOOL", shape: [2], bytes: raw(new Uint8Array([0, 1])) }, [0, 1]],
      ];
      for (const [key, dtype, { shape }] of wanted) put(model, key, parameter(shape, dtype));
      await loadCheckpoint(model, await checkpointOf(Object.fromEntries(wanted.map(([k, , t]) => [k, t]))), {
        device,
      });
      for (const [key, , , expected] of wanted) assertEquals(await values(model, key), expected, key);
      model.dispose();
    });
  }

  it("loads floats as f16 where the user says so, and counts what overflows", () =>
    withTree([{ key: "a", shape: [3] }], async (model) => {
      const warnings = await silenced(async () => {
        const report = await loadCheckpoint(model, await checkpointOf({ a: f32([3], [0.1, 70000, 1]) }), {
          dtype: "f16",
        });
        assertEquals(report.nonFinite, [{ key: "a", count: 1, first: 1 }]);
      });
      assertEquals(parameterAt(model, "a").dtype, "f16");
      assertEquals(await values(model, "a"), [Math.f16round(0.1), Infinity, 1]);
      assertStringIncludes(warnings, 'KW-CHECKPOINT-NONFINITE  key "a" test.safetensors');
    }));

  it("reads in pieces within the budget, and says how far it is", () =>
    withTree([{ key: "a", shape: [70_001] }, { key: "b", shape: [3] }], async (model) => {
      const bits = Uint16Array.from({ length: 70_001 }, (_, i) => i & 0x3fff);
      const file = fileWith({ b: f32([3]), a: { dtype: "F16", shape: [70_001], bytes: raw(bits) } });
      const lengths: number[] = [];
      const checkpoint = await openCheckpoint(watched(file, (length) => lengths.push(length)));
      lengths.length = 0;
      const seen: number[] = [];
      await loadCheckpoint(model, checkpoint, {
        budget: 65536,
        onProgress: ({ bytes, totalBytes }) => {
          seen.push(bytes);
          assertEquals(totalBytes, 140_014);
        },
      });
      assertEquals(Math.max(...lengths) <= 65536 / 4, true);
      assertEquals(seen.at(-1), 140_014);
      assertEquals(await values(model, "a"), Array.from(new Float16Array(bits.buffer)));
    }));

  it("leaves the model as it was where the device finds fault, however late it says so", () =>
    withTree(SHAPES, async (model) => {
      const before = memory();
      const message = await messageOf(async () =>
        loadCheckpoint(model, await checkpointOf(TENSORS), {
          onProgress: ({ bytes, totalBytes }) => {
            if (bytes === totalBytes) gpu().device.createBuffer({ size: 16, usage: 0xffff });
          },
        })
      );
      assertStringIncludes(message, "KW-GPU-VALIDATION");
      assertEquals([...model.stateDict().values()].map((p) => p.device), ["meta", "meta", "meta"]);
      assertEquals([memory().tensors, memory().bytes], [before.tensors, before.bytes]);
    }));

  it("tied parameters need their key once, under any of their paths", async () => {
    const model = treeOf([{ key: "embed.w", shape: [2, 2] }]);
    put(model, "head.w", parameterAt(model, "embed.w"));
    for (const key of ["embed.w", "head.w"]) {
      assertEquals((await loadCheckpoint(model, await checkpointOf({ [key]: f32([2, 2]) }))).loaded, [key]);
    }
    const both = { "embed.w": f32([2, 2]), "head.w": f32([2, 2]) };
    assertEquals((await loadCheckpoint(model, await checkpointOf(both))).tied, [{
      key: "head.w",
      same: "embed.w",
    }]);
    const different = { "embed.w": f32([2, 2]), "head.w": f32([2, 2], [1, 2, 3, 5]) };
    assertEquals(
      await messageOf(async () => loadCheckpoint(model, await checkpointOf(different))),
      `KW-CHECKPOINT-KEYS  key "head.w" test.safetensors byte 149
  The tensor differs from "embed.w", and the model has one parameter for both
  Load it into a model whose head is not tied.`,
    );
    model.dispose();
  });

  it("sends keys through a mapping, rule by rule, and stacks numbered lists", () =>
    withTree([{ key: "m.w1", shape: [3, 2, 1] }, { key: "m.x", shape: [1] }, { key: "q.0", shape: [1] }, {
      key: "q.1",
      shape: [1],
    }], async (model) => {
      const file = await checkpointOf({
        "old.e.2.w": f32([1, 2], [5, 6]),
        "old.e.10.w": f32([1, 2], [9, 9]),
        "old.e.1.w": f32([1, 2], [3, 4]),
        "old.e.0.w": f32([1, 2], [1, 2]),
        "old.x": f32([1], [7]),
        "old.q": f32([2, 1], [8, 9]),
      });
      const mapping = [
        new WeightRenaming("old.**", "m.**"),
        new WeightConverter("m.e.*.w", "m.w1", [transpose(), stackList()]),
        new WeightConverter("m.q", "q.*", [unstackList()]),
        new WeightRenaming("nothing", "something"),
      ];
      assertStringIncludes(
        await messageOf(() => loadCheckpoint(model, file, { mapping })),
        'there is no "m.e.3.w"',
      );
      const whole = await checkpointOf({
        "old.e.2.w": f32([1, 2], [5, 6]),
        "old.e.1.w": f32([1, 2], [3, 4]),
        "old.e.0.w": f32([1, 2], [1, 2]),
        "old.x": f32([1], [7]),
        "old.q": f32([2, 1], [8, 9]),
      });
      const report = await loadCheckpoint(model, whole, { mapping });
      assertEquals(report.converted, [
        {
          sources: ["old.e.0.w", "old.e.1.w", "old.e.2.w"],
          targets: ["m.w1"],
          ops: ["transpose", "stackList"],
          site: undefined,
        },
        { sources: ["old.q"], targets: ["q.0", "q.1"], ops: ["unstackList"], site: undefined },
      ]);
      assertEquals(report.unusedRules, ["nothing → something"]);
      assertEquals(await values(model, "m.w1"), [1, 2, 3, 4, 5, 6]);
      assertEquals([await values(model, "m.x"), await values(model, "q.1")], [[7], [9]]);
    }));

  it("refuses a mapping that claims a tensor twice, or makes a name twice", () =>
    withTree([{ key: "x", shape: [1] }], async (model) => {
      const file = await checkpointOf({ a: f32([1]), b: f32([1]) });
      const twice = [new WeightRenaming("a", "x"), new WeightConverter(["a", "b"], "x", [concatenate()])];
      assertEquals(
        await messageOf(() => loadCheckpoint(model, file, { mapping: twice })),
        `KW-CONVERT-CLAIMED  key "a"
  Two conversions claim the same tensor: a → x and a, b → x: concatenate
  Write the patterns so that each key matches one of them.`,
      );
      const same = [new WeightRenaming("a", "x"), new WeightRenaming("b", "x")];
      assertEquals(
        await messageOf(() => loadCheckpoint(model, file, { mapping: same })),
        `KW-CONVERT-CLAIMED  key "x"
  The conversion b → x makes a tensor that is there already
  Give each tensor a name of its own.`,
      );
    }));

  it("not strict, loads what fits and reports the rest", () =>
    withTree(SHAPES, async (model) => {
      const file = await checkpointOf({ "a.w": f32([3, 2]), c: f32([4]), extra: f32([1]) });
      const report = await loadCheckpoint(model, file, { strict: false });
      assertEquals(report.loaded, ["c"]);
      assertEquals(report.missing, ["a.b"]);
      assertEquals(report.unexpected, ["extra"]);
      assertEquals(report.mismatched, [{ key: "a.w", checkpoint: "F32 [3, 2]", model: "f32 [2, 3]" }]);
      assertEquals(parameterAt(model, "a.w").device, "meta");
      const [, ...lines] = formatLoadReport(report).split("\n");
      assertEquals(lines, [
        "missing (1):",
        "  a.b",
        "unexpected (1):",
        "  extra",
        "mismatched (1):",
        "  a.w: F32 [3, 2], and the model has f32 [2, 3]",
      ]);
    }));

  const bad: Record<string, [tensors: Record<string, GivenTensor>, options: LoadOptions, message: string]> = {
    "everything that does not fit, in one error": [
      { "a.w": f32([3, 2]), "a.bias": f32([3]), c: f32([4]) },
      {},
      `KW-CHECKPOINT-SHAPE  test.safetensors
  The checkpoint does not fit the model: 1 tensors have another shape or dtype, 1 are missing, 1 are not in the model
  "a.w" is F32 [3, 2], and the model has f32 [2, 3]
  "a.b" (f32 [3]) is missing
  "a.bias" (F32 [3]) is not in the model
  Give the checkpoint of this model, a mapping, or { strict: false } to load what fits.`,
    ],
    "a missing tensor": [
      { "a.w": f32([2, 3]), c: f32([4]) },
      {},
      `KW-CHECKPOINT-KEYS  key "a.b" test.safetensors
  The checkpoint does not fit the model: "a.b" (f32 [3]) is missing
  Give the checkpoint of this model, a mapping, or { strict: false } to load what fits.`,
    ],
    "an extra tensor": [
      { ...TENSORS, "c.0": f32([1]) },
      {},
      `KW-CHECKPOINT-KEYS  key "c.0" test.safetensors
  The checkpoint does not fit the model: "c.0" (F32 [1]) is not in the model
  Give the checkpoint of this model, a mapping, or { strict: false } to load what fits.`,
    ],
    "a dtype that does not fit": [
      { ...TENSORS, c: { dtype: "I32", shape: [4], bytes: new Uint8Array(16) } },
      {},
      `KW-CHECKPOINT-DTYPE  key "c" test.safetensors
  The checkpoint does not fit the model: "c" is I32 [4], and the model has f32 [4]
  Give the checkpoint of this model, a mapping, or { strict: false } to load what fits.`,
    ],
    "a dtype that WebGPU does not have": [
      { ...TENSORS, c: { dtype: "F8_E4M3", shape: [4], bytes: new Uint8Array(4) } },
      {},
      `KW-CHECKPOINT-DTYPE  key "c" test.safetensors
  The checkpoint does not fit the model: "c" is F8_E4M3 [4], and the model has f32 [4]
  Give the checkpoint of this model, a mapping, or { strict: false } to load what fits.`,
    ],
    "NaN and infinity, where they are errors": [
      { ...TENSORS, c: f32([4], [1, NaN, -Infinity, 0]) },
      { nonFinite: "error" },
      `KW-CHECKPOINT-NONFINITE  key "c" test.safetensors
  1 tensors hold NaN or infinity
  "c": 2, the first at element 1
  Weights that are not numbers give logits that are none; f16 overflows above 65504.`,
    ],
    "a budget that is too small": [
      TENSORS,
      { budget: 1000 },
      `KW-CHECKPOINT-OPTION
  The budget is 1000 bytes
  Give at least 65536.`,
    ],
  };
  for (const [name, [tensors, options, message]] of Object.entries(bad)) {
    it(`refuses ${name}, and changes nothing`, () =>
      withTree(SHAPES, async (model) => {
        const before = memory().buffers;
        assertEquals(
          await messageOf(async () => loadCheckpoint(model, await checkpointOf(tensors), options)),
          message,
        );
        assertEquals([isMeta(model), memory().buffers], [true, before]);
      }));
  }

  it("refuses an i64 that does not fit, with its byte", async () => {
    const model = new Tree();
    put(model, "ids", parameter([2], "i32"));
    const bytes = raw(new BigInt64Array([1n, 2n ** 31n]));
    assertEquals(
      await messageOf(async () =>
        loadCheckpoint(model, await checkpointOf({ ids: { dtype: "I64", shape: [2], bytes } }))
      ),
      `KW-CHECKPOINT-RANGE  key "ids" test.safetensors byte 73
  Element 1 is 2147483648, which does not fit i32
  Check that the tensor is what the model expects: i32 is all that WebGPU has for I64.`,
    );
    assertEquals(isMeta(model), true);
  });

  it("a file that ends while it is read leaves the model and the buffers as they were", () =>
    withTree([{ key: "a", shape: [50_000] }, { key: "b", shape: [50_000] }], async (model) => {
      const file = fileWith({ a: f32([50_000]), b: f32([50_000]) });
      const shrinking = await openCheckpoint(watched(file, () => {}, file.length - 100_000));
      const before = memory();
      const message = await messageOf(() => loadCheckpoint(model, shrinking, { budget: 65536 }));
      assertStringIncludes(message, 'KW-CHECKPOINT-TRUNCATED  key "b" watched');
      assertEquals([isMeta(model), memory().buffers, memory().tensors], [
        true,
        before.buffers,
        before.tensors,
      ]);

      // A model that has values keeps them.
      await loadCheckpoint(model, await openCheckpoint(bytesSource(file)));
      const loaded = memory().buffers;
      await messageOf(() => loadCheckpoint(model, shrinking, { budget: 65536 }));
      assertEquals(memory().buffers, loaded);
      assertEquals((await values(model, "b"))[49_999], 50_000);
    }));
});

// ---------------------------------------------------------------------------

function raw(array: { buffer: ArrayBufferLike }): Uint8Array {
  return new Uint8Array(array.buffer as ArrayBuffer);
}

/** A source that tells of each read, and that ends early once its header was read. */
function watched(file: Uint8Array, told: (length: number) => void, end = Infinity): Source {
  let header = true;
  return {
    name: "watched",
    size: file.length,
    read: (offset, length) => {
      told(length);
      const last = header ? offset + length : Math.min(offset + length, end);
      header = header && offset === 0;
      return Promise.resolve(Uint8Array.from(file.subarray(offset, last)));
    },
  };
}

async function silenced(run: () => Promise<void>): Promise<string> {
  const { warn } = console;
  let said = "";
  console.warn = (line: string) => said += line;
  await run().finally(() => console.warn = warn);
  return said;
}
