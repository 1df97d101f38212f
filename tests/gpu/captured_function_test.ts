import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { capture, currentGpu, memory, record } from "../../sdk/gpu/mod.ts";
import { KVCache, type Linear, LlamaMLP, RMSNorm } from "../../sdk/nn/mod.ts";
import { add, linear, rmsNorm, scale, silu, softmax, stridedCopy } from "../../sdk/ops/mod.ts";
import { keep, scope, Tensor, withTracer } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";

function random(shape: number[], seed: number): Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  return Tensor.from(Float32Array.from({ length: size }, (_, i) => Math.sin(i * 12.9898 + seed) * 3), {
    shape,
  });
}

describe("capture()", () => {
  gpuForFile();

  it("gives the numbers of an eager run, bit for bit, at every shape and again", async () => {
    using weight = random([24], 1);
    using matrix = random([36, 24], 2);
    const forward = (x: Tensor) => softmax(linear(rmsNorm(x, weight, 1e-6), matrix));
    using fast = capture(forward);
    for (const [seed, rows] of [3, 1, 3, 7, 1, 3].entries()) {
      using x = random([rows, 24], seed);
      using eager = keep(scope(() => forward(x)));
      using captured = fast(x);
      assertEquals(await captured.data(), await eager.data(), `${rows} rows`);
    }
    assertEquals(fast.plans, 3);
    assertEquals(fast.notes, []);
  });

  it("runs the function once for each signature", () => {
    let runs = 0;
    using fast = capture((x: Tensor, factor: number, { twice }: { twice: boolean }) => {
      runs++;
      return scale(twice ? scale(x, factor) : x, factor);
    });
    using x = random([4], 1);
    for (let i = 0; i < 3; i++) fast(x, 2, { twice: false }).dispose();
    assertEquals(runs, 1);
    fast(x, 3, { twice: false }).dispose();
    fast(x, 2, { twice: true }).dispose();
    fast(x, 2, { twice: true }).dispose();
    assertEquals([runs, fast.plans], [3, 3]);
  });

  it("leaves what an earlier call returned as it was", async () => {
    using fast = capture((x: Tensor) => ({ out: [scale(x, 2)], count: 1 }));
    using a = Tensor.from([1, 2]);
    using b = Tensor.from([3, 4]);
    const first = fast(a);
    const second = fast(b);
    const third = fast(a);
    assertEquals([...await first.out[0].data()], [2, 4]);
    assertEquals([...await second.out[0].data()], [6, 8]);
    assertEquals([...await third.out[0].data(), third.count], [2, 4, 1]);
    for (const r of [first, second, third]) r.out[0].dispose();
  });

  it("holds a bounded number of plans, and forgets the one used longest ago", () => {
    using fast = capture((x: Tensor) => scale(x, 2), { maxPlans: 2 });
    const call = (n: number) => scope(() => void fast(Tensor.zeros([n])));
    for (const n of [1, 2, 1, 3]) call(n);
    assertEquals(fast.plans, 2);
    assertEquals(fast.notes.length, 1);
    const before = memory().created;
    call(1); // still there: 2 went
    assertEquals(memory().created, before);
  });

  it("holds a bounded number of bytes", () => {
    using fast = capture((x: Tensor) => scale(x, 2), { maxBytes: 20_000 });
    scope(() => void fast(Tensor.zeros([1000])));
    scope(() => void fast(Tensor.zeros([1001])));
    scope(() => void fast(Tensor.zeros([1002])));
    assert(fast.plans === 2 && fast.bytes <= 20_000, `${fast.plans} plans, ${fast.bytes} bytes`);
    scope(() => void fast(Tensor.zeros([10_000])));
    assertEquals(fast.plans, 2);
    assert(fast.notes.some((n) => n.includes("maxBytes, 20000")), fast.notes.join());
  });

  it("gives all memory back when it is disposed, and can be called again", async () => {
    const before = memory();
    using x = random([8], 1);
    const fast = capture((x: Tensor) => silu(silu(x)));
    fast(x).dispose();
    fast(x).dispose();
    fast.dispose();
    assertEquals(memory().bytes, before.bytes + 32);
    using again = fast(x);
    assertEquals((await again.data()).length, 8);
    fast.dispose();
    assertEquals(fast.plans, 0);
  });

  it("runs an asynchronous function as it is, and says so", async () => {
    using fast = capture(async (x: Tensor) => (await x.data())[0] + 1);
    using x = Tensor.from([1]);
    assertEquals(await fast(x), 2);
    assertEquals(fast.notes, ["The function is asynchronous: each call runs as it is."]);
    using promising = capture((x: Tensor) => x.data().then((d) => d[0] * 2));
    assertEquals([await promising(x), await promising(x)], [2, 2]);
    assertEquals(promising.notes, ["The function returns a promise: each call runs as it is."]);
    assertEquals([fast.plans, promising.plans], [0, 0]);
  });

  it("runs a function that reads on the host as it is, and says so", async () => {
    const seen: Promise<ArrayLike<number>>[] = [];
    using fast = capture((x: Tensor) => {
      seen.push(x.data());
      return scale(x, 2);
    });
    for (const v of [1, 2, 3]) {
      using x = Tensor.from([v]);
      using y = fast(x);
      assertEquals((await y.data())[0], 2 * v);
      assertEquals((await seen.at(-1)!)[0], v);
    }
    assertEquals(fast.notes, ["The function reads values on the host: each call runs as it is."]);
  });

  it("changes the caller's tensor where the function writes into its argument", async () => {
    const whole = { offset: 0, strides: [1] };
    using fast = capture((target: Tensor, x: Tensor) => {
      stridedCopy(target, scale(x, 2), { shape: [2], source: whole, target: whole });
      return target;
    });
    for (const v of [1, 5]) {
      using target = Tensor.zeros([2]);
      using x = Tensor.from([v, v + 1]);
      assertEquals(fast(target, x), target);
      assertEquals([...await target.data()], [2 * v, 2 * v + 2]);
    }
  });

  it("hands views and tensors from outside on as they are", async () => {
    using outside = Tensor.from([7, 8]);
    using fast = capture((x: Tensor) => ({ view: x.reshape([2, 1]), same: x, outside }));
    for (const v of [1, 2]) {
      using x = Tensor.from([v, v]);
      const r = fast(x);
      assertEquals([r.same, r.outside], [x, outside]);
      assertEquals([r.view.shape, [...await r.view.data()]], [[2, 1], [v, v]]);
      r.view.dispose();
    }
    fast.dispose();
    assertEquals([...await outside.data()], [7, 8]);
  });

  it("takes the same tensor twice, and refuses two in one memory", async () => {
    using fast = capture((a: Tensor, b: Tensor) => add(a, b));
    using x = Tensor.from([1, 2]);
    using y = Tensor.from([10, 20]);
    for (const [a, b, sum] of [[x, x, [2, 4]], [x, y, [11, 22]], [y, y, [20, 40]]] as const) {
      using out = fast(a, b);
      assertEquals([...await out.data()], [...sum]);
    }
    assertEquals(fast.plans, 2);
    using view = x.reshape([2]);
    using out = fast(x, view);
    assertEquals([...await out.data()], [2, 4]);
    assertEquals(fast.notes, ["Two arguments lie in the same memory: such calls run as they are."]);
  });

  it("records again when memory that a plan used is gone", async () => {
    let factor = Tensor.from([2, 2]);
    using fast = capture((x: Tensor) => add(x, factor));
    using x = Tensor.from([1, 2]);
    fast(x).dispose();
    factor.dispose();
    factor = Tensor.from([5, 5]);
    using out = fast(x);
    assertEquals([...await out.data()], [6, 7]);
    assertEquals(fast.notes, ["Memory that a plan used was released: it was recorded again."]);
    factor.dispose();
  });

  it("captures modules with their parameters, and a cache by identity", async () => {
    const [norm, mlp] = [new RMSNorm(8), new LlamaMLP(8, 12)];
    const linears = [mlp.gate_proj, mlp.up_proj, mlp.down_proj] as Linear[];
    norm.weight.assign(random([8], 1));
    linears.forEach((l, i) => l.weight.assign(random([...l.weight.shape], i)));
    using cache = new KVCache({ layers: 1, heads: 1, headDim: 2, maxLength: 3 });
    using fast = capture((x: Tensor, { cache }: { cache: KVCache }) => {
      cache.advance(1);
      return mlp.call(norm.call(x));
    });
    for (const seed of [1, 2, 3]) {
      using x = random([2, 8], seed);
      using y = fast(x, { cache });
      using eager = keep(scope(() => mlp.call(norm.call(x))));
      assertEquals(await y.data(), await eager.data());
    }
    assertEquals([cache.length, fast.plans], [3, 1]);
    using x = random([2, 8], 1);
    assertThrows(() => fast(x, { cache }), Error, "KW-CACHE-FULL");
    for (const m of [norm, mlp]) m.dispose();
  });

  it("is part of a recording or a trace around it", async () => {
    using x = Tensor.from([1, 2]);
    using fast = capture((x: Tensor) => scale(x, 3));
    using plan = record(() => fast(x));
    assertEquals([...await plan.replay().data()], [3, 6]);
    const ops: string[] = [];
    withTracer({ op: (name) => ops.push(name) }, () => fast(x));
    assertEquals([ops, fast.plans], [["scale"], 0]);
  });

  it("passes on what the function throws, and keeps nothing of it", () => {
    const before = memory().bytes;
    using fast = capture((x: Tensor, y: Tensor) => add(scale(x, 2), y));
    scope(() => {
      const [x, y] = [Tensor.zeros([2]), Tensor.zeros([3])];
      assertThrows(() => fast(x, y), Error, "KW-TENSOR-SHAPE");
    });
    assertEquals([memory().bytes, fast.plans], [before, 0]);
    assertEquals(currentGpu().stream.recorder, undefined);
  });
});
