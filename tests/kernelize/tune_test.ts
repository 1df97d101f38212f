import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import { capture, kernel, Tensor, tuned } from "../../mod.ts";
import { collectPipelines, memory } from "../../sdk/gpu/mod.ts";
import {
  forgetWinners,
  fuseParallel,
  type FusePart,
  kernelize,
  kernelPlan,
  kernelReport,
  planKernelize,
  replace,
  tune,
  unkernelize,
} from "../../sdk/kernelize/mod.ts";
import { traceModel } from "../../sdk/kernelize/prove/trace.ts";
import { indexTree } from "../../sdk/kernelize/match/tree.ts";
import { callClass } from "../../sdk/kernelize/plan/tuned_calls.ts";
import { Module, type RMSNorm } from "../../sdk/nn/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";
import { Mixer, Norm, Stack } from "./fixtures.ts";
import {
  FAST,
  filled,
  Holder,
  input,
  Misspelt,
  Model,
  OpenEdge,
  output,
  QUICK,
  site,
  SLOW,
  SlowByDefault,
  SlowHolder,
  Spread,
  told,
  TunedQKV,
  with_,
  WrongOrTooLarge,
} from "./tune_fixtures.ts";

describe("tuning", () => {
  gpuForFile();
  let folder = "";
  let cache = "";
  beforeEach(() => {
    folder = Deno.makeTempDirSync({ prefix: "kernelwright-tune-" });
    cache = `${folder}/deep/tune.json`;
    forgetWinners();
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

  it("keeps no books of kernels that were taken out while it measured", async () => {
    using model = filled();
    using x = input();
    const before = await output(() => model.call(x));
    await kernelize(model, with_(SlowByDefault));
    const tuning = tune(model, { inputs: [x], cache, ...QUICK });
    await Promise.resolve();
    unkernelize(model);
    await tuning.catch(() => {}); // its kernels are gone: it may find nothing to measure
    assertEquals(kernelReport(model), undefined);
    await planKernelize(model, with_(SlowByDefault));
    assertEquals(await output(() => model.call(x)), before);
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
    forgetWinners();
    const report = await kernelize(model, with_(SlowByDefault), { tune: { cache } });
    for (const { tuned: calls } of report.sites) {
      assertEquals(calls!.map((c) => [c.from, c.measured, c.constants]), [["cache", 0, FAST]]);
    }
    const asked = await tune(model, { inputs: [x], cache, ...QUICK });
    assertEquals(asked.sites.map((s) => s.tuned![0].measured), [0, 0]);
    unkernelize(model);
  });

  it("looks winners up for a plan, too: for the originals, where others' kernels are in them", async () => {
    class Outer extends Module {
      holder = new Holder();
      override forward(x: Tensor): Tensor {
        return this.holder.call(x);
      }
    }
    using model = filled(new Outer());
    using x = input();
    const config = { kernels: [replace("Holder", SlowHolder)] };
    const options = { inputs: [x], tune: { cache } };
    await kernelize(model, config, { ...options, tune: { inputs: [x], cache, ...QUICK } });
    await kernelize(model, { kernels: [replace("RMSNorm", Norm)] }, options);
    const { report } = await planKernelize(model, config, options);
    assertEquals([report.notes, report.sites[0].tuned?.map((c) => c.constants)], [[], [{ WORK: 1 }]]);
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

  it("holds a remembered winner against the defaults on each size that is tuned", async () => {
    using model = filled();
    using eight = input(8);
    using seven = input(7);
    await kernelize(model, with_(OpenEdge), { tune: { inputs: [eight], cache, ...QUICK } });
    assertEquals(kernelReport(model)!.sites[0].tuned!.map((c) => c.constants), [{ WORK: 1 }]);
    const report = await tune(model, { inputs: [seven], cache, ...QUICK });
    const [{ call, constants, dropped }] = report.sites[0].tuned!;
    assertEquals([call, constants], ["f32[8,32]", { WORK: 2000 }]);
    assert(dropped[0].why.startsWith("gives other numbers"), dropped[0].why);
    unkernelize(model);
  });

  it("gives the trace and a capture the same constants as a run", async () => {
    using model = filled();
    using x = input();
    await kernelize(model, with_(SlowByDefault), { tune: { inputs: [x], cache, ...QUICK } });
    unkernelize(model);
    const compiled: Record<string, number>[] = [];
    await kernelize(model, with_(SlowByDefault), { tune: { cache } });
    told.length = 0;
    using captured = capture((t: Tensor) => model.call(t));
    const eager = await output(() => model.call(x));
    for (let i = 0; i < 2; i++) {
      using y = captured(x) as Tensor;
      assertEquals([...await y.data() as Float32Array], eager);
    }
    assert(told.length >= 4 && told.every(({ WORK }) => WORK === 1), JSON.stringify(told));
    collectPipelines(
      (r) => compiled.push({ ...r.constants }),
      () => void traceModel(model, indexTree(model), [x]),
    );
    assertEquals(compiled, [{ ...FAST, WRONG: 0 }, { ...FAST, WRONG: 0 }]);
    unkernelize(model);
  });

  it("leaves no tensor behind", async () => {
    using model = filled();
    using x = input();
    await kernelize(model, with_(SlowByDefault), { tune: { cache } });
    const { tensors } = memory();
    await tune(model, { inputs: [x], cache, ...QUICK });
    assertEquals(memory().tensors, tensors);
    forgetWinners();
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

  it("times by the clock where the adapter has no timestamps", async () => {
    using model = filled();
    using x = input();
    Object.defineProperty(gpu(), "features", { value: new Set(), configurable: true });
    try {
      const report = await kernelize(model, with_(SlowByDefault), { tune: { inputs: [x], cache, ...QUICK } });
      const [{ constants, from, measured, ms, defaultMs }] = report.sites[0].tuned!;
      // Whose clock it is nobody knows: on a busy machine either may win.
      assert([FAST, SLOW].some(({ WORK }) => WORK === constants.WORK));
      assertEquals([from, measured, ms >= 0, defaultMs >= 0], ["measured", 2, true, true]);
    } finally {
      delete (gpu() as { features?: unknown }).features;
    }
    unkernelize(model);
  });

  it("drops what dispatches more workgroups than the adapter allows", async () => {
    using model = filled();
    using x = input();
    const report = await kernelize(model, with_(Spread), { tune: { inputs: [x], cache, ...QUICK } });
    const [{ constants, dropped }] = report.sites[0].tuned!;
    assertEquals(constants, { SPREAD: 1 });
    assert(dropped[0].why.startsWith("KW-DISPATCH-WORKGROUPS: "), dropped[0].why);
    unkernelize(model);
  });

  it("tunes parallel fusions, whose results are many, after verifying them", async () => {
    using model = new Stack(() => new Mixer(), 1);
    let seed = 1;
    for (const [, p] of model.namedParameters()) {
      p.assign(
        Tensor.from(Float32Array.from({ length: p.size }, () => Math.sin(seed++)), { shape: p.shape }),
      );
    }
    using x = Tensor.from(Float32Array.from({ length: 48 }, (_, i) => Math.cos(i)), { shape: [2, 3, 8] });
    const before = await output(() => model.call(x));
    const parts: FusePart[] = ["q", "k", "v"].map((name) => ["Linear", `layers.*.${name}`]);
    const report = await kernelize(model, { kernels: [fuseParallel(parts, TunedQKV)] }, {
      verify: { inputs: [x], time: false },
      tune: { inputs: [x], cache, ...QUICK },
    });
    const { tuned: calls, differences } = report.at("layers.0.q")!;
    assertEquals(calls!.map((c) => [c.constants, c.dropped.length]), [[{ SHIFT: 0, REPEAT: 1 }, 2]]);
    assert(differences!.every((d) => d.passed));
    const after = await output(() => model.call(x));
    assert(after.every((v, i) => Math.abs(v - before[i]) < 1e-5));
    unkernelize(model);
  });

  it("leaves the model as it was where the inputs do not fit", async () => {
    using model = filled();
    using odd = Tensor.from(new Float32Array(5), { shape: [5] });
    const { tensors } = memory();
    const own = model.norms[0].forward;
    await assertRejects(
      () => kernelize(model, with_(SlowByDefault), { tune: { inputs: [odd], cache } }),
      Error,
    );
    assert(model.norms[0].forward === own && kernelPlan(model) === undefined);
    assertEquals(memory().tensors, tensors);
  });
});

describe("the kind of a call", () => {
  const meta = (...shape: number[]) => Tensor.empty(shape, { device: "meta" });
  const kind = (...args: unknown[]) => callClass(args);

  it("holds sizes that differ by less than a factor of two, in each dimension, and no others", () => {
    for (const size of [1, 2, 3, 4, 5, 8, 9, 100, 255, 256, 257, 300]) {
      const alike = Array.from({ length: 700 }, (_, i) => i)
        .filter((other) => kind(meta(3, size)) === kind(meta(3, other)));
      assert(alike.includes(size) && Math.max(...alike) < 2 * Math.min(...alike), `${size}: ${alike}`);
    }
    assert(kind(meta(0)) !== kind(meta(1)) && kind(meta(8)) !== kind(meta(8, 1)));
  });

  it("looks into plain objects, and tells other objects by their class", () => {
    assertEquals(
      kind(meta(3), { keys: meta(100), deep: { v: meta(2) } }),
      "f32[4], {keys: f32[128], deep: {v: f32[2]}}",
    );
    assertEquals(kind(meta(3), { cache: new Map(), position: 7, causal: true }), "f32[4], {cache: Map}");
    assertEquals(kind(meta(3), 7, null, undefined, {}), "f32[4]");
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
