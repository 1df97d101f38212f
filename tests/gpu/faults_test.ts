import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { capture, dispatch, type GpuStorage, memory, record, shader } from "../../sdk/gpu/mod.ts";
import { add, concat, scale, stridedCopy } from "../../sdk/ops/mod.ts";
import { keep, scope, Tensor } from "../../sdk/tensor/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";

const OUT = "@group(0) @binding(0) var<storage, read_write> out: array<f32>;\n";
let made = 0;

/** A shader that does not compile: another one each time, so that nobody knows it yet. */
function broken(name = `broken${made++}.wgsl`) {
  return shader({
    name,
    code: `${OUT}// ${name}\n@compute @workgroup_size(1) fn main() { out[0] = nothing; }`,
  });
}

function spoil(out: Tensor, name?: string): void {
  dispatch(broken(name), { out }, { workgroups: 1 });
}

async function codeOf(t: Tensor): Promise<string> {
  return (await assertRejects(() => t.data(), KernelwrightError)).code;
}

const bufferOf = (t: Tensor) => (t.storage as GpuStorage).buffer;

/** Bytes and buffers that tensors have when `fn` is over are those from before. */
async function level(fn: () => Promise<void>): Promise<void> {
  const before = memory();
  await fn();
  const after = memory();
  assertEquals([after.tensors, after.buffers, after.bytes], [before.tensors, before.buffers, before.bytes]);
}

describe("a dispatch that fails", () => {
  gpuForFile();

  it("takes nothing with it that was recorded before or after", () =>
    level(async () => {
      using x = Tensor.from([1, 2]);
      using before = add(x, x);
      using out = Tensor.zeros([2]);
      spoil(out, "mine.wgsl");
      using after = scale(before, 10);
      const { code, diagnostic } = await assertRejects(() => out.data(), KernelwrightError);
      assertEquals([code, diagnostic.where?.file], ["KW-SHADER-COMPILE", "mine.wgsl"]);
      assertEquals(await before.data(), Float32Array.of(2, 4));
      assertEquals(await after.data(), Float32Array.of(20, 40));
      await gpu().sync(); // it was told
    }));

  it("spoils what was computed from it, by whatever way, and keeps refusing", () =>
    level(async () => {
      using x = Tensor.from([1, 2]);
      using out = Tensor.zeros([2]);
      const from = (t: Tensor) =>
        scope(() => {
          const whole = Tensor.empty([2]);
          stridedCopy(whole, t, {
            shape: [2],
            source: { offset: 0, strides: [1] },
            target: { offset: 0, strides: [1] },
          });
          return [add(x, scale(t, 2)), concat([x, t], 0), t.reshape([2, 1]), whole];
        });
      spoil(out);
      const early = from(out);
      for (const t of early) assertEquals(await codeOf(t), "KW-SHADER-COMPILE");
      const late = from(out); // now that it is known
      for (const t of late) assertEquals(await codeOf(t), "KW-SHADER-COMPILE");
      assertEquals([await codeOf(out), await codeOf(out)], ["KW-SHADER-COMPILE", "KW-SHADER-COMPILE"]);
      assertEquals(await x.data(), Float32Array.of(1, 2));
      for (const t of [...early, ...late]) t.dispose();
    }));

  it("each one is told with its own error", () =>
    level(async () => {
      const outs = Array.from({ length: 5 }, () => Tensor.zeros([1]));
      using good = Tensor.from([7]);
      const sums = outs.map((out, i) => {
        spoil(out, `mistake${i}.wgsl`);
        return [scale(good, i), add(out, good)];
      });
      for (const [i, [fine, spoilt]] of sums.entries()) {
        assertEquals(await fine.data(), Float32Array.of(7 * i));
        const { diagnostic } = await assertRejects(() => spoilt.data(), KernelwrightError);
        assertEquals(diagnostic.where?.file, `mistake${i}.wgsl`);
      }
      for (const t of [...outs, ...sums.flat()]) t.dispose();
    }));

  it("is forgotten where its tensor is overwritten as a whole, and not before", () =>
    level(async () => {
      using x = Tensor.from([1, 2]);
      using out = Tensor.zeros([2]);
      using other = Tensor.zeros([2]);
      spoil(out);
      spoil(other);
      gpu().stream.write(bufferOf(out), new Uint8Array(Float32Array.of(5).buffer), 4);
      assertEquals(await codeOf(out), "KW-SHADER-COMPILE");
      gpu().stream.write(bufferOf(out), new Uint8Array(Float32Array.of(3, 4).buffer));
      gpu().stream.copy(bufferOf(x), 0, bufferOf(other), 0, 8);
      assertEquals(await out.data(), Float32Array.of(3, 4));
      assertEquals(await other.data(), Float32Array.of(1, 2));
    }));

  it("leaves the memory of a disposed tensor to the next one clean", async () => {
    for (const wait of [false, true]) {
      const out = Tensor.zeros([33]);
      const buffer = bufferOf(out);
      spoil(out);
      if (wait) await codeOf(out);
      out.dispose();
      using next = Tensor.from(new Float32Array(33).fill(2));
      assertEquals(bufferOf(next) === buffer, true);
      assertEquals(await next.data(), new Float32Array(33).fill(2));
    }
  });

  it("concerns no other caller", () =>
    level(async () => {
      const mine = async () => {
        for (let i = 0; i < 10; i++) {
          using out = Tensor.zeros([1]);
          spoil(out);
          assertEquals(await codeOf(out), "KW-SHADER-COMPILE");
        }
      };
      const theirs = async () => {
        using one = Tensor.from([1]);
        let sum = Tensor.from([0]);
        for (let i = 1; i <= 50; i++) {
          const next = add(sum, one);
          sum.dispose();
          sum = next;
          if (i % 3 === 0) assertEquals(await sum.data(), Float32Array.of(i));
        }
        sum.dispose();
      };
      await Promise.all([mine(), theirs(), mine(), theirs()]);
    }));

  it("spoils a cache that it should have written into, and no other", () =>
    level(async () => {
      const row = (cache: Tensor, t: Tensor, at: number) =>
        stridedCopy(cache, t, {
          shape: [2],
          source: { offset: 0, strides: [1] },
          target: { offset: 2 * at, strides: [1] },
        });
      using mine = Tensor.zeros([3, 2]);
      using theirs = Tensor.zeros([3, 2]);
      using good = Tensor.from([1, 2]);
      using bad = Tensor.zeros([2]);
      row(theirs, good, 0);
      spoil(bad);
      row(mine, bad, 1);
      row(theirs, good, 2);
      assertEquals(await codeOf(mine), "KW-SHADER-COMPILE");
      assertEquals(await theirs.data(), Float32Array.of(1, 2, 0, 0, 1, 2));
    }));

  it("is found however many come before the event loop gets a turn", () =>
    level(async () => {
      using x = Tensor.from([1]);
      const pairs = Array.from({ length: 150 }, (_, i) => {
        const out = Tensor.zeros([1]);
        spoil(out);
        return [out, scale(x, i)];
      });
      for (const [i, [out, fine]] of pairs.entries()) {
        assertEquals(await codeOf(out), "KW-SHADER-COMPILE");
        assertEquals(await fine.data(), Float32Array.of(i));
      }
      for (const t of pairs.flat()) t.dispose();
      await gpu().sync();
    }));

  it("is told by sync() where nobody reads, once", async () => {
    using out = Tensor.zeros([1]);
    spoil(out);
    assertEquals((await assertRejects(() => gpu().sync(), KernelwrightError)).code, "KW-SHADER-COMPILE");
    await gpu().sync();
  });
});

describe("a recorded run with a dispatch that fails", () => {
  gpuForFile();

  it("refuses its results, and its replays once that is known", () =>
    level(async () => {
      using x = Tensor.from([1, 2]);
      const shared = broken();
      using plan = record(() => {
        const out = Tensor.zeros([2]);
        dispatch(shared, { out }, { workgroups: 1 });
        return [add(x, x), add(x, out)];
      });
      plan.replay();
      const [fine, spoilt] = plan.result;
      assertEquals(await codeOf(spoilt), "KW-SHADER-COMPILE");
      assertEquals(await codeOf(fine), "KW-SHADER-COMPILE"); // that replay shared a submit with it
      assertEquals(assertThrows(() => plan.replay(), KernelwrightError).code, "KW-SHADER-COMPILE");
      using y = scale(x, 3);
      assertEquals(await y.data(), Float32Array.of(3, 6));
    }));

  it("in a captured function says it again at each call", () =>
    level(async () => {
      const shared = broken();
      using f = capture((x: Tensor) => {
        const out = Tensor.zeros([2]);
        dispatch(shared, { out }, { workgroups: 1 });
        return add(x, out);
      });
      using x = Tensor.from([1, 2]);
      for (let i = 0; i < 3; i++) {
        using y = f(x);
        assertEquals(await codeOf(y), "KW-SHADER-COMPILE");
      }
      assertEquals(await x.data(), Float32Array.of(1, 2));
    }));

  it("given a spoilt tensor works again with a good one", () =>
    level(async () => {
      using f = capture((x: Tensor) => scale(scale(x, 2), 3));
      using good = Tensor.from([1, 2]);
      using bad = Tensor.zeros([2]);
      for (let i = 0; i < 3; i++) {
        using y = f(good);
        assertEquals(await y.data(), Float32Array.of(6, 12));
        spoil(bad);
        using z = f(bad);
        assertEquals(await codeOf(z), "KW-SHADER-COMPILE");
      }
      using y = f(good);
      assertEquals(await y.data(), Float32Array.of(6, 12));
    }));

  it("a failure between two replays does not concern them", () =>
    level(async () => {
      using x = keep(Tensor.from([1, 2]));
      using plan = record(() => scale(x, 2));
      for (let i = 0; i < 3; i++) {
        using out = Tensor.zeros([2]);
        spoil(out);
        assertEquals(await plan.replay().data(), Float32Array.of(2, 4));
        assertEquals(await codeOf(out), "KW-SHADER-COMPILE");
      }
    }));
});

describe("an error that comes as an event", () => {
  gpuForFile();

  it("is thrown by the first read after it, once, and spoils nothing", async () => {
    using c = Tensor.from([1, 2]);
    gpu().device.createBuffer({ size: 16, usage: 0xffff });
    assertEquals(await codeOf(c), "KW-GPU-VALIDATION");
    assertEquals(await c.data(), Float32Array.of(1, 2));
  });

  it("of a submit spoils what was written with it, and no bytes of an earlier read are handed out", () =>
    level(async () => {
      using x = Tensor.from([1, 2]);
      using earlier = scale(x, 100);
      assertEquals(await earlier.data(), Float32Array.of(100, 200));
      using lost = Tensor.zeros([2]);
      await lost.data();
      using y = scale(x, 2);
      bufferOf(lost).buffer.destroy(); // behind our back: the submit is refused
      using z = add(y, lost);
      assertEquals(await codeOf(z), "KW-GPU-VALIDATION");
      assertEquals(await codeOf(y), "KW-GPU-VALIDATION");
      assertEquals(await x.data(), Float32Array.of(1, 2));
      using again = scale(x, 2);
      assertEquals(await again.data(), Float32Array.of(2, 4));
      gpu().pool.trim(0, true);
    }));
});

describe("what an adapter cannot run", () => {
  gpuForFile();

  const refused = (code: string, bindings: Record<string, unknown>, constants?: Record<string, number>) => {
    using out = Tensor.zeros([4]);
    const at = shader({ name: "large.wgsl", code: OUT + code });
    return assertThrows(
      () => dispatch(at, { out, ...bindings } as { out: Tensor }, { workgroups: 1, constants }),
      KernelwrightError,
    ).message;
  };

  it("is refused at the dispatch: a uniform", () => {
    const { maxUniformBufferBindingSize: most } = gpu().limits;
    const count = most / 16 + 1;
    const code = `@group(0) @binding(1) var<uniform> table: array<vec4f, ${count}>;
      @compute @workgroup_size(1) fn main() { out[0] = table[1].x; }`;
    assertEquals(
      refused(code, { table: new Array(4 * count).fill(1) }),
      `KW-GPU-LIMIT  large.wgsl\n  The uniform "table" has ${most + 16} bytes; the adapter allows ${most}\n` +
        "  Declare it var<storage, read> and give a tensor.",
    );
  });

  it("the largest uniforms that are allowed arrive", async () => {
    const { maxUniformBufferBindingSize: most } = gpu().limits;
    const names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    const code = OUT +
      names.map((n, i) => `@group(0) @binding(${i + 1}) var<uniform> ${n}: array<vec4f, ${most / 16}>;`)
        .join("\n") +
      `@compute @workgroup_size(1) fn main() { out[0] = ${
        names.map((n) => `${n}[${most / 16 - 1}].w`).join(" + ")
      }; }`;
    const large = shader({ code });
    const values = Object.fromEntries(
      names.map((n, i) => [n, Array.from({ length: most / 4 }, () => 10 ** (i % 4))]),
    );
    using out = Tensor.zeros([1]);
    dispatch(large, { out, ...values }, { workgroups: 1 });
    assertEquals(await out.data(), Float32Array.of(2222));
  });

  it("more uniforms or storage buffers than there may be", () => {
    const uniforms = Array.from({ length: 9 }, (_, i) => i);
    const many = `${uniforms.map((i) => `@group(0) @binding(${i + 1}) var<uniform> u${i}: u32;`).join("\n")}
      @compute @workgroup_size(1) fn main() { out[0] = f32(${uniforms.map((i) => `u${i}`).join(" + ")}); }`;
    assertStringIncludes(
      refused(many, Object.fromEntries(uniforms.map((i) => [`u${i}`, 1]))),
      "The shader binds 9 uniforms; the adapter allows 8",
    );
    const { maxStorageBuffersPerShaderStage: most } = gpu().limits;
    const buffers = Array.from({ length: most }, (_, i) => i);
    const code = `${
      buffers.map((i) => `@group(0) @binding(${i + 1}) var<storage, read> s${i}: array<f32>;`).join("\n")
    }
      @compute @workgroup_size(1) fn main() { out[0] = ${buffers.map((i) => `s${i}[0]`).join(" + ")}; }`;
    const tensors = buffers.map(() => Tensor.zeros([1]));
    assertStringIncludes(
      refused(code, Object.fromEntries(tensors.map((t, i) => [`s${i}`, t]))),
      `The shader binds ${most + 1} storage buffers; the adapter allows ${most}`,
    );
    for (const t of tensors) t.dispose();
  });

  it("a workgroup of too many invocations, also where overrides tell", () => {
    const { maxComputeInvocationsPerWorkgroup: most, maxComputeWorkgroupSizeX: along } = gpu().limits;
    const main = "fn main() { out[0] = 1.0; }";
    const tooMany = (x: number, y: number) =>
      `The shader's workgroup is [${x}, ${y}, 1], ${x * y} invocations; the adapter allows ${most}`;
    assertStringIncludes(
      refused(`@compute @workgroup_size(64, ${most / 32}) ${main}`, {}),
      tooMany(64, most / 32),
    );
    assertStringIncludes(
      refused(`const N = ${most}u; override W: u32 = N / 2; @workgroup_size(W, 4) @compute ${main}`, {}),
      tooMany(most / 2, 4),
    );
    assertStringIncludes(
      refused(`@compute @workgroup_size(${2 * along}) ${main}`, {}),
      `The shader's workgroup is [${2 * along}, 1, 1]; the adapter allows ${along} along x`,
    );
  });

  it("more shared memory than there is, counting what the entry point uses", async () => {
    const { maxComputeWorkgroupStorageSize: most } = gpu().limits;
    const tile = (count: string) =>
      `struct Pair { at: vec3f, w: f32 }
      alias Row = array<Pair, ${count}>;
      var<workgroup> unused: array<f32, 1000000>;
      var<workgroup> tile: Row;
      fn put() { tile[0].w = 1.0; }
      @compute @workgroup_size(1) fn main() { put(); out[0] = tile[0].w; }`;
    assertStringIncludes(
      refused(tile(`${most / 16 + 1}`), {}),
      `The shader's var<workgroup> take ${most + 16} bytes together; the adapter allows ${most}`,
    );
    using out = Tensor.zeros([1]);
    dispatch(shader({ code: OUT + tile(`${most / 16}`) }), { out }, { workgroups: 1 });
    assertEquals(await out.data(), Float32Array.of(1));
  });
});

describe("a workgroup's size and memory", () => {
  const needs = (code: string, constants: Record<string, number>) =>
    shader({ code, entryPoint: "main" }).variant().reflection.workgroup("main", constants);
  const size = (code: string, constants = {}) => needs(code, constants).size?.slice();
  const bytes = (declared: string, constants = {}) =>
    needs(`${declared}\n@compute @workgroup_size(1) fn main() { t; }`, constants).bytes;

  it("works out sizes from constants and overrides", () => {
    const other = "@compute @workgroup_size(9) fn other() {}\n";
    assertEquals(
      size(
        `${other}override W = 1u; /* @workgroup_size(7) */ @compute @workgroup_size(W * 2u, 2) fn main() {}`,
        { W: 8 },
      ),
      [16, 2, 1],
    );
    assertEquals(
      size(`@id(3) override W: u32; @workgroup_size(max(W, 2) - 1, 1 << 3, 0x2u,) @compute\nfn main() {}`, {
        W: 5,
      }),
      [4, 8, 2],
    );
    assertEquals(size("const A = B + 1; const B = 2u; @compute @workgroup_size((A + B) % 4) fn main() {}"), [
      1,
      1,
      1,
    ]);
  });

  it("works out sizes of types", () => {
    assertEquals(bytes("var<workgroup> t: atomic<u32>;"), 16);
    assertEquals(bytes("var<workgroup> t: array<vec3<f32>, 3>;"), 48);
    assertEquals(bytes("override N = 4; var<workgroup> t: array<array<f16, N * N>, 2u>;", { N: 5 }), 112);
    assertEquals(
      bytes("alias F = f32; struct S { a: F, b: mat3x3f, c: array<vec2h, 3> } var<workgroup> t: S;"),
      80,
    );
    assertEquals(bytes("var<workgroup> t: f32; var<workgroup> u: array<f32, 999>;"), 16);
  });

  it("knows functions of constants and attributes, and says nothing where a constant has no value", () => {
    assertEquals(size("@compute @workgroup_size(select(1, 2, true)) fn main() {}"), [2, 1, 1]);
    assertEquals(size("const A = A; @compute @workgroup_size(A) fn main() {}"), undefined);
    assertEquals(bytes("struct S { @size(64) a: f32 } var<workgroup> t: S;"), 64);
  });
});
