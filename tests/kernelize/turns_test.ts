/** What is asked of a model while it is kernelized waits its turn, and what is cancelled leaves no trace. */
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  dispatch,
  kernel,
  kernelize,
  kernelReport,
  KernelwrightError,
  memory,
  Tensor,
  tune,
  tuned,
  unkernelize,
} from "@kernelwright/sdk";
import { replace } from "@kernelwright/sdk/config";
import { planKernelize } from "@kernelwright/sdk/inspect";
import type { KernelClass } from "../../sdk/authoring/mod.ts";
import { loadCausalLM, savePretrained } from "../../sdk/models/mod.ts";
import type { RMSNorm } from "@kernelwright/sdk/nn";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";
import { modelDir, needsModels } from "../models/checkpoints.ts";
import { Norm, NormForward, Stack, WIDTH } from "./fixtures.ts";
import { norm, site } from "./tune_fixtures.ts";
import { fill, leavesUnchanged, outputOf } from "./unchanged.ts";

gpuForFile();

@kernel({ site, tune: { TILE: [2, 4] } })
class Tuned {
  forward(this: RMSNorm, x: Tensor): Tensor {
    const out = Tensor.empty(x.shape);
    const params = { rows: x.size / this.hidden_size, cols: this.hidden_size, eps: this.eps };
    const constants = { ...tuned({ TILE: 4 }), WORK: 1, WRONG: 0 };
    const workgroups = Math.ceil(params.rows / constants.TILE);
    dispatch(norm, { x, weight: this.weight, out, params }, { workgroups, constants });
    return out;
  }
}

const config = { kernels: [replace("RMSNorm", Norm)] };
const named = { kernels: [replace("RMSNorm", "./x:Norm")] };
const input = () => Tensor.from(new Float32Array(6 * WIDTH).fill(0.5), { shape: [2, 3, WIDTH] });

/** A resolver that answers when it is told to. */
function slow(cls: KernelClass = Norm) {
  const { promise, resolve } = Promise.withResolvers<KernelClass>();
  return { resolver: () => promise, answer: () => resolve(cls) };
}

describe(needsModels("while a model is kernelized,"), () => {
  it("unkernelize waits for its turn, and comes before what is asked for later", async () => {
    const model = fill(new Stack());
    await leavesUnchanged(model, async () => {
      const { resolver, answer } = slow();
      const running = kernelize(model, named, { resolver });
      unkernelize(model);
      answer();
      assertEquals((await running).swapped.length, 3);
      assertEquals(kernelReport(model), undefined);
      assert(!(model.norm instanceof Norm));

      const second = slow();
      const first = kernelize(model, named, { resolver: second.resolver });
      unkernelize(model);
      const third = kernelize(model, { kernels: [replace("RMSNorm", NormForward)] });
      second.answer();
      await Promise.all([first, third]);
      assertEquals(kernelReport(model)!.swapped[0].kernel, "NormForward");
      unkernelize(model); // at once, where nobody is at work
      assertEquals(kernelReport(model), undefined);

      const failing = kernelize(model, named, { resolver: () => Promise.reject(new Error("no")) });
      unkernelize(model);
      await assertRejects(() => failing, KernelwrightError);
      await kernelize(model, config);
      const looking = planKernelize(model, config);
      unkernelize(model);
      await looking;
      assertEquals(kernelReport(model), undefined);
    });
  });

  it("a save waits, and a swap waits for the save", async () => {
    const dir = await Deno.makeTempDir();
    try {
      using model = await loadCausalLM(modelDir("stories260k"));
      await savePretrained(model, `${dir}/plain`);
      const { resolver, answer } = slow();
      const running = kernelize(model, named, { resolver });
      const saving = savePretrained(model, `${dir}/during`, { kernels: false });
      unkernelize(model);
      const next = kernelize(model, config);
      assertEquals([...Deno.readDirSync(dir)].map((e) => e.name), ["plain"]);
      answer();
      await Promise.all([running, saving, next]);
      const bytes = (name: string) => Deno.readFileSync(`${dir}/${name}/model.safetensors`);
      assertEquals(bytes("during"), bytes("plain"));
      assert(kernelReport(model));
      unkernelize(model);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
});

/** A signal that says stop when it is asked for the n-th time. */
function stopAt(n: number): { signal: AbortSignal; asked: () => number } {
  const controller = new AbortController();
  const { signal } = controller;
  let asked = 0;
  Object.defineProperty(signal, "aborted", {
    get: () => {
      if (++asked === n) controller.abort(`stop ${n}`);
      return Reflect.get(AbortSignal.prototype, "aborted", signal);
    },
  });
  return { signal, asked: () => asked };
}

const alive = () => {
  gpu().trim();
  const { tensors, buffers, bytes } = memory();
  return { tensors, buffers, bytes };
};

describe("a signal", () => {
  it("stops kernelize at any step, with the model and its memory as before", async () => {
    using x = input();
    using model = fill(new Stack(), "webgpu");
    await outputOf(model, [2, 3, WIDTH], "webgpu");
    const before = alive();
    let steps = 0;
    const tried = { kernels: [replace("RMSNorm", [{ kernel: Norm }, { kernel: Tuned }])] };
    for (let n = 1;; n++) {
      assert(n < 500);
      const { signal, asked } = stopAt(n);
      const work = () =>
        kernelize(model, tried, {
          signal,
          verify: { inputs: [x], time: false, atol: 10 },
          tune: { inputs: [x], cache: false, rounds: 2, train: 0.1 },
        });
      let stopped = true;
      await leavesUnchanged(model, async () => {
        try {
          await work();
          [stopped, steps] = [false, asked()];
          unkernelize(model);
        } catch (error) {
          assertEquals((error as KernelwrightError).code, "KW-ABORTED", String(error));
          assertEquals((error as KernelwrightError).cause, `stop ${n}`);
          assertEquals(kernelReport(model), undefined);
        }
      });
      assertEquals(alive(), before, `stopped at ${n}`);
      if (!stopped) break;
    }
    assert(steps > 15, `${steps} steps`);
  });

  it("keeps the kernels that were there", async () => {
    const model = fill(new Stack());
    await kernelize(model, config);
    const report = kernelReport(model);
    const inner = model.norm;
    for (let n = 1; n < 4; n++) {
      const { signal } = stopAt(n);
      const other = { kernels: [replace("RMSNorm", NormForward)] };
      await assertRejects(() => kernelize(model, other, { signal }), KernelwrightError, "KW-ABORTED");
      assertStrictEquals(kernelReport(model), report);
      assertStrictEquals(model.norm, inner);
    }
  });

  it("does not wait for a reference that never comes, nor starts what is cancelled", async () => {
    const model = fill(new Stack());
    await leavesUnchanged(model, async () => {
      const controller = new AbortController();
      const running = kernelize(model, named, {
        resolver: () => new Promise<never>(() => {}),
        signal: controller.signal,
      });
      setTimeout(() => controller.abort(), 1);
      await assertRejects(() => running, KernelwrightError, "KW-ABORTED");
      const { signal } = controller;
      for (
        const work of [
          () => kernelize(model, config, { signal }),
          () => planKernelize(model, config, { signal }),
        ]
      ) {
        await assertRejects(work, KernelwrightError, "KW-ABORTED");
      }
    });
  });

  it("ends the waiting for a turn, and the turn after it comes", async () => {
    const model = fill(new Stack());
    await leavesUnchanged(model, async () => {
      const { resolver, answer } = slow();
      const controller = new AbortController();
      const first = kernelize(model, named, { resolver });
      const second = kernelize(model, config, { signal: controller.signal });
      const third = kernelize(model, { kernels: [replace("RMSNorm", NormForward)] });
      controller.abort();
      await assertRejects(() => second, KernelwrightError, "KW-ABORTED");
      answer();
      await Promise.all([first, third]);
      assertEquals(kernelReport(model)!.swapped[0].kernel, "NormForward");
      unkernelize(model);
    });
  });

  it("stops verify and tune by their own", async () => {
    using x = input();
    using model = fill(new Stack(), "webgpu");
    const verify = { inputs: [x], signal: AbortSignal.abort() };
    await assertRejects(() => kernelize(model, config, { verify }), KernelwrightError, "KW-ABORTED");
    assertEquals(kernelReport(model), undefined);
    await kernelize(model, { kernels: [replace("RMSNorm", Tuned)] });
    const report = kernelReport(model);
    const before = alive();
    for (let n = 1; n < 100; n++) {
      const { signal, asked } = stopAt(n);
      const options = { inputs: [x], cache: false, rounds: 2, train: 0.1, signal } as const;
      const done = await tune(model, options).then(() => true, (error) => {
        assertEquals(error.code, "KW-ABORTED");
        return false;
      });
      assertEquals(alive(), before);
      if (done) {
        assert(asked() > 5);
        break;
      }
      assertStrictEquals(kernelReport(model), report);
    }
    unkernelize(model);
  });
});
