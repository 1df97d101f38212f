import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { currentGpu, memory, record } from "../../sdk/gpu/mod.ts";
import { KVCache } from "../../sdk/nn/mod.ts";
import { add, linear, mul, rmsNorm, scale, softmax, stridedCopy } from "../../sdk/ops/mod.ts";
import { keep, scope, Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";

function random(n: number, seed: number): Float32Array {
  return Float32Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898 + seed) * 3);
}

function overwrite(target: Tensor, values: Float32Array): void {
  using fresh = Tensor.from(values, { shape: target.shape });
  const whole = { offset: 0, strides: [1] };
  stridedCopy(target, fresh, { shape: [target.size], source: whole, target: whole });
}

function keepAll(tensors: readonly Tensor[]): readonly Tensor[] {
  for (const t of tensors) keep(t);
  return tensors;
}

describe("record()", () => {
  gpuForFile();

  it("replays the numbers of an eager run, bit for bit, for new inputs", async () => {
    using x = Tensor.from(random(5 * 24, 1), { shape: [5, 24] });
    using weight = Tensor.from(random(24, 2), { shape: [24] });
    using matrix = Tensor.from(random(36 * 24, 3), { shape: [36, 24] });
    const forward = () => softmax(linear(rmsNorm(x, weight, 1e-6), matrix));
    using plan = record(forward);
    for (let run = 0; run < 4; run++) {
      overwrite(x, random(5 * 24, 10 + run));
      const eager = keep(scope(forward));
      const expected = await eager.data();
      eager.dispose();
      assertEquals(await plan.replay().data(), expected, `run ${run}`);
    }
  });

  it("gives the values of the recorded run itself", async () => {
    using x = Tensor.from([1, 2, 3]);
    using plan = record(() => scale(x, 2));
    assertEquals([...await plan.result.data()], [2, 4, 6]);
  });

  it("repeats what the host wrote, though the buffer was used again inside", async () => {
    using x = Tensor.from([1, 1, 1, 1]);
    using plan = record(() => {
      const first = scope(() => add(x, Tensor.from([10, 20, 30, 40])));
      return scope(() => add(add(first, Tensor.from([1, 2, 3, 4])), first)); // takes the released buffers
    });
    for (let run = 0; run < 3; run++) assertEquals([...await plan.replay().data()], [23, 44, 65, 86]);
  });

  it("reuses memory inside: a long chain holds a few buffers", () => {
    using x = Tensor.from(random(4096, 1));
    const before = memory();
    const plan = record(() => {
      let y = keep(scale(x, 1.5));
      for (let i = 0; i < 50; i++) {
        const next = keep(scale(y, 0.9));
        y.dispose();
        y = next;
      }
      return y;
    });
    assert(memory().bytes - before.bytes <= 2 * 4096 * 4, `${memory().bytes - before.bytes} bytes`);
    assertEquals(plan.dispatches, 51);
    plan.dispose();
    assertEquals([memory().tensors, memory().bytes], [before.tensors, before.bytes]);
  });

  it("holds values in each other's memory, and still computes what an eager run does", async () => {
    const wide = keep(Tensor.from(random(48 * 16, 4), { shape: [48, 16] }));
    const narrow = keep(Tensor.from(random(16 * 48, 5), { shape: [16, 48] }));
    using x = Tensor.from(random(5 * 16, 6), { shape: [5, 16] });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(3), fc.nat(9), fc.nat(9)), { minLength: 1, maxLength: 25 }),
        fc.array(fc.nat(30), { maxLength: 3 }),
        async (program, kept) => {
          // Each step reads two values made before; what no later step reads may be overwritten from then on.
          const run = () => {
            const made: Tensor[] = [x];
            for (const [op, i, j] of program) {
              const [a, b] = [made.at(-1 - i) ?? x, made.at(-1 - j) ?? x];
              const a16 = a.shape[1] === 16 ? a : linear(a, narrow);
              const b16 = b.shape[1] === 16 ? b : linear(b, narrow);
              made.push(
                op === 0
                  ? linear(a16, wide)
                  : op === 1
                  ? add(a16, b16)
                  : op === 2
                  ? mul(a16, b16)
                  : softmax(a),
              );
            }
            return [made.at(-1)!, ...kept.map((i) => made[i] ?? x)].map((t) => t === x ? scale(x, 1) : t);
          };
          const plan = record(run);
          overwrite(x, random(5 * 16, program.length));
          const eager = keepAll(scope(run));
          const expected = await Promise.all(eager.map((t) => t.data()));
          plan.replay();
          assertEquals(await Promise.all(plan.replay().map((t) => t.data())), expected);
          for (const t of new Set(eager)) t.dispose();
          plan.dispose();
        },
      ),
      { numRuns: 60 },
    );
    wide.dispose();
    narrow.dispose();
  });

  it("holds a little more than its largest live set, where a recording holds more", () => {
    using x = Tensor.from(random(4096, 1));
    using plan = record(() => {
      let y = scale(x, 1.5);
      for (let i = 0; i < 20; i++) y = add(y, scale(y, 0.5)); // nothing is released before the end
      return y;
    });
    // Three at a time, and uniforms: those of 41 dispatches, of which few differ.
    assert(plan.bytes <= 3 * 16384 + 4 * 256, `${plan.bytes}`);
  });

  it("leaves alone what it does not write of a tensor that is kept", async () => {
    let kept: Tensor | undefined;
    using x = Tensor.from([1, 2, 3, 4]);
    using plan = record(() => {
      const doubled = scale(scale(scale(x, 2), 1), 1); // values of the run, done with before the tensor is written
      kept = keep(Tensor.empty([4]));
      const half = { offset: 0, strides: [1] };
      stridedCopy(kept, doubled, { shape: [2], source: half, target: half });
      return scale(kept, 1);
    });
    overwrite(kept!, Float32Array.of(7, 7, 7, 7));
    assertEquals([...await plan.replay().data()], [2, 4, 7, 7]);
    kept!.dispose();
  });

  for (const throws of [false, true]) {
    it(`leaves a kept tensor its memory when ${throws ? "recording throws" : "the plan is gone"}`, async () => {
      let kept: Tensor | undefined;
      using x = Tensor.from([1, 2, 3]);
      const run = () => {
        kept = keep(scale(x, 10));
        if (throws) throw new Error("not now");
        return scale(kept, 2);
      };
      if (throws) assertThrows(() => record(run), Error, "not now");
      else record(run).dispose();
      const others = [200, 300].map((v) => Tensor.from([v, v, v]));
      assertEquals([...await kept!.data()], [10, 20, 30]);
      kept!.dispose();
      using another = Tensor.from([-1, -1, -1]);
      assertEquals(await Promise.all(others.map(async (t) => (await t.data())[0])), [200, 300]);
      assertEquals((await another.data())[0], -1);
      for (const t of others) t.dispose();
    });
  }

  it("submits now and then where nobody reads", () => {
    using x = Tensor.from([1, 2, 3]);
    using plan = record(() => scale(scale(scale(scale(x, 2), 2), 2), 2));
    const { stream } = currentGpu();
    const before = stream.epoch;
    for (let i = 0; i < 1000; i++) plan.replay();
    assert(stream.epoch - before >= 10, `${stream.epoch - before} submits of 4000 dispatches`);
  });

  it("refuses a replay as soon as a tensor that it reads is released", () => {
    const x = Tensor.from([1, 2, 3]);
    using plan = record(() => scale(x, 2));
    x.dispose();
    assertThrows(() => plan.replay(), KernelwrightError, "KW-CAPTURE-STALE");
    currentGpu().trim();
    assertThrows(() => plan.replay(), KernelwrightError, "KW-CAPTURE-STALE");
  });

  it("refuses a replay inside another recording", () => {
    using x = Tensor.from([1, 2, 3]);
    using plan = record(() => scale(x, 2));
    assertThrows(() => record(() => scale(plan.replay(), 2)), KernelwrightError, "KW-CAPTURE-NESTED");
  });

  it("keeps state on the host in step: a cache counts its tokens in each replay", () => {
    using cache = new KVCache({ layers: 1, heads: 1, headDim: 2, maxLength: 4 });
    using plan = record(() => cache.advance(1));
    plan.replay();
    plan.replay();
    assertEquals(cache.length, 3);
    plan.replay();
    assertThrows(() => plan.replay(), Error, "KW-CACHE-FULL");
  });

  it("refuses a replay when a tensor that it reads is gone, though its buffer serves another", () => {
    const x = Tensor.from([1, 2, 3, 4]);
    using plan = record(() => scale(x, 2));
    x.dispose();
    using _other = Tensor.from([5, 6, 7, 8]);
    assertThrows(() => plan.replay(), Error, "KW-CAPTURE-STALE");
  });

  it("refuses a function that waits, a recording inside another, and a plan that was disposed", () => {
    using x = Tensor.from([1]);
    assertThrows(() => record(() => x.data()), Error, "KW-CAPTURE-ASYNC");
    assertThrows(() => record(() => record(() => scale(x, 1))), Error, "KW-CAPTURE-NESTED");
    const plan = record(() => scale(x, 1));
    plan.dispose();
    plan.dispose();
    assertThrows(() => plan.replay(), Error, "KW-CAPTURE-STALE");
    assertEquals(currentGpu().stream.recorder, undefined);
  });

  it("leaves nothing behind when the function throws", () => {
    const before = memory();
    using x = Tensor.from([1, 2]);
    assertThrows(() => record(() => mul(scale(x, 2), Tensor.from([1, 2, 3]))), Error, "KW-TENSOR-SHAPE");
    x.dispose();
    assertEquals(memory().bytes, before.bytes);
  });
});

describe("reading back", () => {
  gpuForFile();

  for (const eager of [true, false]) {
    it(`gives the values of every read in a row, ${eager ? "without" : "with"} awaiting the mapping`, async () => {
      const { readback } = currentGpu();
      const usual = readback.eager;
      readback.eager = eager;
      try {
        for (const size of [1, 3, 64, 70_000, 300_000]) {
          for (let run = 0; run < 5; run++) {
            using x = Tensor.from(Float32Array.from({ length: size }, (_, i) => i + run));
            using y = scale(x, 2);
            const data = await y.data();
            assertEquals([data.length, data[0], data[size - 1]], [size, 2 * run, 2 * (size - 1 + run)]);
          }
        }
      } finally {
        readback.eager = usual;
      }
    });
  }

  it("lets timers run between reads that follow each other", async () => {
    let fired = false;
    setTimeout(() => fired = true, 0);
    using x = Tensor.from([1]);
    let reads = 0;
    for (; !fired && reads < 1_000_000; reads++) await x.data();
    assert(fired, `${reads} reads and no turn`);
  });

  it("serves several reads that wait at the same time", async () => {
    const tensors = Array.from({ length: 8 }, (_, i) => Tensor.from([i, i + 0.5]));
    const all = await Promise.all(tensors.map((t) => t.data()));
    assertEquals(all.map((d) => [...d]), tensors.map((_, i) => [i, i + 0.5]));
    for (const t of tensors) t.dispose();
  });
});
