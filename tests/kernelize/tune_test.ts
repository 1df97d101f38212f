import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import { capture, dispatch, kernel, replaces, shader, Tensor, tuned } from "../../mod.ts";
import { collectPipelines, memory } from "../../sdk/gpu/mod.ts";
import { forgetTuned, kernelize, kernelPlan, replace, tune, unkernelize } from "../../sdk/kernelize/mod.ts";
import { MOST_WINNERS, TuneCache } from "../../sdk/kernelize/tune_cache.ts";
import { Module, ModuleList, RMSNorm } from "../../sdk/nn/mod.ts";
import { keep, scope } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";

const WIDTH = 24;
const site = replaces(RMSNorm);

// WORK repeats the sum: 1 is right and fast, 2000 right and slow. WRONG adds to the result.
const norm = shader({
  name: "tuned_norm.wgsl",
  code: `
override WORK: u32;
override WRONG: u32;
override TILE: u32;
struct Params { rows: u32, cols: u32, eps: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;
@compute @workgroup_size(TILE) fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.rows) { return; }
  var squares = 0.0;
  for (var again = 0u; again < WORK; again++) {
    squares = squares * 0.5;
    var sum = 0.0;
    for (var i = 0u; i < params.cols; i++) { let v = x[row * params.cols + i]; sum += v * v; }
    squares = select(0.5 * sum + squares, sum, again == 0u);
  }
  let inv = inverseSqrt(squares / f32(params.cols) + params.eps);
  for (var i = 0u; i < params.cols; i++) {
    out[row * params.cols + i] = x[row * params.cols + i] * inv * weight[i] + f32(WRONG);
  }
}`,
});

/** What each call of a forward was told. */
const told: Record<string, number>[] = [];

function run(self: RMSNorm, x: Tensor, constants: Record<string, number>): Tensor {
  told.push(constants);
  const out = Tensor.empty(x.shape);
  const params = { rows: x.size / self.hidden_size, cols: self.hidden_size, eps: self.eps };
  dispatch(norm, { x, weight: self.weight, out, params }, {
    workgroups: Math.ceil(params.rows / constants.TILE),
    constants,
  });
  return out;
}

@kernel({ site, version: "1.0.0", tune: { WORK: [2000, 1], TILE: [4] } })
class SlowByDefault {
  forward(this: RMSNorm, x: Tensor): Tensor {
    return run(this, x, { ...tuned({ WORK: 2000, TILE: 4 }), WRONG: 0 });
  }
}

@kernel({ site, tune: { WORK: [1, 2000], WRONG: [0, 1], TILE: [4, 1 << 20] } })
class WrongOrTooLarge {
  forward(this: RMSNorm, x: Tensor): Tensor {
    return run(this, x, tuned({ WORK: 2000, WRONG: 0, TILE: 4 }));
  }
}

@kernel({ site, tune: { TILE: [2, 4] } })
class Misspelt {
  forward(this: RMSNorm, x: Tensor): Tensor {
    return run(this, x, { ...tuned({ TILES: 4 } as unknown as { TILE: number }), WORK: 1, WRONG: 0 });
  }
}

class Model extends Module {
  norms = new ModuleList(Array.from({ length: 2 }, () => new RMSNorm(WIDTH, 1e-5)));
  override forward(x: Tensor): Tensor {
    for (const n of this.norms) x = n.call(x);
    return x;
  }
  exampleInputs(): unknown[][] {
    return [[Tensor.empty([3, WIDTH], { device: "meta" })]];
  }
}

function filled(): Model {
  const model = new Model();
  let seed = 1;
  for (const [, p] of model.namedParameters()) {
    p.assign(Tensor.from(Float32Array.from({ length: p.size }, () => Math.sin(seed++)), { shape: p.shape }));
  }
  return model;
}

const input = (rows = 3) =>
  Tensor.from(Float32Array.from({ length: rows * WIDTH }, (_, i) => Math.sin(i)), { shape: [rows, WIDTH] });

async function output(fn: () => Tensor): Promise<number[]> {
  using y = keep(scope(fn));
  return [...await y.data() as Float32Array];
}

const with_ = (cls: typeof SlowByDefault) => ({ kernels: [replace("RMSNorm", cls)] });
const QUICK = { rounds: 3, train: 4 };
const FAST = { WORK: 1, TILE: 4 };
const SLOW = { WORK: 2000, TILE: 4 };

describe("tuning", () => {
  gpuForFile();
  let folder = "";
  let cache = "";
  beforeEach(() => {
    folder = Deno.makeTempDirSync({ prefix: "kernelwright-tune-" });
    cache = `${folder}/deep/tune.json`;
    forgetTuned();
    told.length = 0;
  });
  afterEach(() => Deno.removeSync(folder, { recursive: true }));

  it("takes the faster constants, for all sites with one measurement, and says how much they bring", async () => {
    using model = filled();
    using x = input();
    const before = await output(() => model.call(x));
    const report = await kernelize(model, with_(SlowByDefault), { tune: { inputs: [x], cache, ...QUICK } });
    const [first, second] = report.sites.map((s) => s.tuned![0]);
    assertEquals(first.constants, FAST);
    assert(first.defaultMs > 5 * first.ms, JSON.stringify(first));
    assertEquals([first.from, first.measured, second.from, second.measured], ["measured", 2, "cache", 0]);
    assert(/tuned: WORK=1 TILE=4 \(\d+\.\d\d×\)/.test(String(report)), String(report));
    assertEquals(JSON.parse(JSON.stringify(report)).sites[0].tuned[0].constants, FAST);
    told.length = 0;
    const after = await output(() => model.call(x));
    assertEquals(told.map(({ WORK }) => WORK), [1, 1]);
    assert(after.every((v, i) => Math.abs(v - before[i]) < 1e-4));
    unkernelize(model);
  });

  it("tunes nothing unless asked, and nothing in a run", async () => {
    using model = filled();
    using x = input();
    const report = await kernelize(model, with_(SlowByDefault), { tune: { cache } });
    assertEquals(report.sites.map((s) => s.tuned), [undefined, undefined]);
    told.length = 0;
    for (let i = 0; i < 3; i++) await output(() => model.call(x));
    assertEquals(told, Array.from({ length: 6 }, () => ({ ...SLOW, WRONG: 0 })));
    assertEquals([...Deno.readDirSync(folder)], []);
    unkernelize(model);
  });

  it("drops what gives other numbers and what the adapter cannot run, with the reason", async () => {
    using model = filled();
    using x = input();
    await kernelize(model, with_(WrongOrTooLarge), { tune: { cache } });
    const report = await tune(model, { inputs: [x], cache, ...QUICK });
    const [{ constants, dropped, measured }] = report.sites[0].tuned!;
    assertEquals(constants, { WORK: 1, WRONG: 0, TILE: 4 });
    assertEquals(measured, 2);
    assertEquals(dropped.length, 6);
    for (const { constants: { WRONG, TILE }, why } of dropped) {
      if (TILE > 4) assert(/^KW-(SHADER|GPU)/.test(why), why);
      else assert(WRONG === 1 && why.startsWith("gives other numbers: off by 1"), why);
    }
    unkernelize(model);
  });

  it("keeps winners in a file: a later process looks them up when kernels are put in, and measures nothing", async () => {
    using model = filled();
    using x = input();
    await kernelize(model, with_(SlowByDefault), { tune: { inputs: [x], cache, ...QUICK } });
    unkernelize(model);
    forgetTuned();
    const report = await kernelize(model, with_(SlowByDefault), { tune: { cache } });
    for (const { tuned: calls } of report.sites) {
      assertEquals(calls!.map((c) => [c.from, c.measured, c.constants]), [["cache", 0, FAST]]);
    }
    const asked = await tune(model, { inputs: [x], cache, ...QUICK });
    assertEquals(asked.sites.map((s) => s.tuned![0].measured), [0, 0]);
    unkernelize(model);
  });

  it("tells kinds of calls apart by sizes rounded up to powers of two", async () => {
    using model = filled();
    using four = input(4);
    using five = input(5);
    await kernelize(model, with_(SlowByDefault), { tune: { inputs: [four], cache, ...QUICK } });
    using three = input(3);
    told.length = 0;
    await output(() => model.call(three));
    await output(() => model.call(five));
    assertEquals(told.map(({ WORK }) => WORK), [1, 1, 2000, 2000]);
    const report = await tune(model, { samples: [[four], [five]], cache, ...QUICK });
    assertEquals(report.sites[0].tuned!.map((c) => [c.call, c.measured]), [["f32[4,32]", 0], [
      "f32[8,32]",
      2,
    ]]);
    unkernelize(model);
  });

  it("gives the trace and a capture the same constants as a run", async () => {
    using model = filled();
    using x = input();
    await kernelize(model, with_(SlowByDefault), { tune: { inputs: [x], cache, ...QUICK } });
    unkernelize(model);
    const compiled: Record<string, number>[] = [];
    await kernelize(model, with_(SlowByDefault), { tune: { cache } });
    const { sites } = kernelPlan(model)!;
    told.length = 0;
    using captured = capture((t: Tensor) => model.call(t));
    const eager = await output(() => model.call(x));
    for (let i = 0; i < 2; i++) {
      using y = captured(x) as Tensor;
      assertEquals([...await y.data() as Float32Array], eager);
    }
    assert(told.length >= 4 && told.every(({ WORK }) => WORK === 1), JSON.stringify(told));
    const { traceModel } = await import("../../sdk/kernelize/trace.ts");
    const { indexTree } = await import("../../sdk/kernelize/tree.ts");
    collectPipelines(
      (r) => compiled.push({ ...r.constants }),
      () => void traceModel(model, indexTree(model), [x]),
    );
    assertEquals(compiled, [{ ...FAST, WRONG: 0 }, { ...FAST, WRONG: 0 }]);
    assertEquals(sites.length, 2);
    unkernelize(model);
  });

  it("leaves no tensor behind", async () => {
    using model = filled();
    using x = input();
    await kernelize(model, with_(SlowByDefault), { tune: { cache } });
    const { tensors } = memory();
    await tune(model, { inputs: [x], cache, ...QUICK });
    assertEquals(memory().tensors, tensors);
    forgetTuned();
    await tune(model, { inputs: [x], cache: false, ...QUICK });
    assertEquals(memory().tensors, tensors);
    unkernelize(model);
  });

  it("refuses to tune without kernels, inputs or weights", async () => {
    using model = filled();
    using x = input();
    await assertRejects(() => tune(model, { inputs: [x] }), Error, "KW-TUNE-INPUTS");
    await kernelize(model, with_(SlowByDefault), { tune: { cache } });
    await assertRejects(() => tune(model, {}), Error, "KW-TUNE-INPUTS");
    const empty = new Model();
    const own = empty.norms[0].forward;
    const error = await assertRejects(
      () => kernelize(empty, with_(SlowByDefault), { tune: { inputs: [x], cache } }),
      Error,
      "KW-TUNE-INPUTS",
    );
    assert((error as Error).message.includes('"norms.0"'), (error as Error).message);
    assert(empty.norms[0].forward === own);
    unkernelize(model);
  });

  it("names a constant that the tune does not", async () => {
    using model = filled();
    const error = await assertRejects(() => kernelize(model, with_(Misspelt), { tune: { cache } }), Error);
    assert(/KW-TUNE-NAME.*norms\.0[^]*"TILES"[^]*Did you mean "TILE"/.test(error.message), error.message);
  });

  describe("the file", () => {
    const corrupt: [string, string][] = [
      ["{", "it is no JSON"],
      ['{"format":"other"}', "it is not of this form"],
      ['{"format":"kernelwright-tune","version":2,"entries":[]}', "it is not of this form"],
      [" ".repeat(2 << 20), "it is too large"],
    ];
    for (const [text, why] of corrupt) {
      it(`is left aside with a note where ${why}: ${text.slice(0, 60).trim()}`, async () => {
        using model = filled();
        using x = input();
        cache = `${folder}/tune.json`;
        Deno.writeTextFileSync(cache, text);
        const report = await kernelize(model, with_(SlowByDefault), { tune: { cache } });
        assert(report.notes.some((n) => n.includes(why)), report.notes.join());
        assertEquals(report.sites[0].tuned, undefined);
        await tune(model, { inputs: [x], cache, ...QUICK }); // and is replaced
        assertEquals(JSON.parse(Deno.readTextFileSync(cache)).entries.length, 1);
        assertEquals([...Deno.readDirSync(folder)].length, 1);
        unkernelize(model);
      });
    }

    it("does not stop anybody where it cannot be written", async () => {
      using model = filled();
      using x = input();
      Deno.writeTextFileSync(`${folder}/deep`, "a file where a folder belongs");
      const report = await kernelize(model, with_(SlowByDefault), { tune: { inputs: [x], cache, ...QUICK } });
      assertEquals(report.sites[0].tuned![0].constants, FAST);
      assert(report.notes.some((n) => n.includes("not written")), report.notes.join());
      unkernelize(model);
    });

    it("counts for the same shader, version and candidates only, and for values that the kernel names", async () => {
      using model = filled();
      using x = input();
      await kernelize(model, with_(SlowByDefault), { tune: { inputs: [x], cache, ...QUICK } });
      unkernelize(model);
      const saved = JSON.parse(Deno.readTextFileSync(cache));
      const [entry] = saved.entries;
      const digest = /[0-9a-f]{64}/.exec(entry.key)![0];
      const tampered = [
        { ...entry, key: entry.key.replace(digest, "0".repeat(64)) },
        { ...entry, key: entry.key.replace("@1.0.0", "@1.0.1") },
        { ...entry, constants: { WORK: 7, TILE: 4 } },
        { ...entry, constants: { WORK: 1 } },
        { ...entry, constants: { WORK: 1, TILE: 4, MORE: 1 } },
      ];
      for (const one of tampered) {
        forgetTuned();
        Deno.writeTextFileSync(cache, JSON.stringify({ ...saved, entries: [one] }));
        const report = await kernelize(model, with_(SlowByDefault), { tune: { cache } });
        assertEquals(report.sites[0].tuned, undefined, JSON.stringify(one));
        unkernelize(model);
      }
    });

    it("keeps the youngest winners, and those that another process wrote meanwhile", async () => {
      const winner = { constants: { A: 1 }, ms: 1, defaultMs: 2 };
      const [one, other] = [await TuneCache.open(cache), await TuneCache.open(cache)];
      one.set("one", winner);
      await one.save();
      other.set("other", winner);
      await other.save();
      forgetTuned();
      const both = await TuneCache.open(cache);
      assertEquals([both.get("one"), both.get("other")], [winner, winner]);
      for (let i = 0; i < MOST_WINNERS; i++) both.set(`new ${i}`, winner);
      await both.save();
      forgetTuned();
      const last = await TuneCache.open(cache);
      assertEquals([last.get("one"), last.get("new 0")], [undefined, winner]);
      assertEquals(JSON.parse(Deno.readTextFileSync(cache)).entries.length, MOST_WINNERS);
    });
  });
});

describe("tune in @kernel", () => {
  const refused: [unknown, string][] = [
    [[1], "is an array"],
    [3, "is number"],
    [null, "is null"],
    [{ TILE: 32 }, 'no list of values for "TILE"'],
    [{ TILE: [] }, 'no list of values for "TILE"'],
    [{ TILE: [1, NaN] }, 'NaN among the values of "TILE"'],
    [{ TILE: ["1"] }, '1 among the values of "TILE"'],
    [{ "a-b": [1] }, 'names "a-b"'],
    [{ A: [1, 2, 3, 4, 5], B: [1, 2, 3, 4, 5], C: [1, 2, 3] }, "has 75 combinations"],
  ];
  for (const [given, message] of refused) {
    it(`refuses what ${message}`, () => {
      const declare = () => {
        @kernel({ site, tune: given as { TILE: number[] } })
        class Odd {
          forward(this: RMSNorm, x: Tensor): Tensor {
            return x;
          }
        }
        return Odd;
      };
      const error = assertThrows(declare, Error, "KW-TUNE-OPTION");
      assert(error.message.includes(message), error.message);
    });
  }

  it("gives the defaults where no kernel runs", () => {
    assertEquals(tuned({ TILE: 8 }), { TILE: 8 });
  });
});
