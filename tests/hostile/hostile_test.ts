/**
 * Everything that the public modules export, called as no caller should: what comes back is a result or our error, never
 * an exception of the engine or of a library.
 */
import { assertEquals } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import * as sdk from "../../mod.ts";
import * as checkpoint from "@kernelwright/sdk/checkpoint";
import * as configs from "@kernelwright/sdk/config";
import * as inspect from "@kernelwright/sdk/inspect";
import * as internal from "@kernelwright/sdk/internal";
import * as models from "@kernelwright/sdk/models";
import * as nn from "@kernelwright/sdk/nn";
import * as ops from "@kernelwright/sdk/ops";
import * as registry from "@kernelwright/sdk/registry";
import * as testing from "@kernelwright/sdk/testing";
import { tensorsIn } from "../../sdk/tensor/mod.ts";
import config from "../../deno.json" with { type: "json" };
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { random } from "../helpers/random.ts";
import { HOSTILE } from "./values.ts";

const ROOMS: Record<string, object> = {
  ".": sdk,
  "./ops": ops,
  "./nn": nn,
  "./models": models,
  "./checkpoint": checkpoint,
  "./config": configs,
  "./inspect": inspect,
  "./testing": testing,
  "./registry": registry,
  "./internal": internal,
};

/** Calls with arguments drawn at random, on top of each value in each place. */
const DRAWN = 100;

interface Target {
  readonly name: string;
  readonly arity: number;
  readonly call: (args: unknown[]) => unknown;
}

// deno-lint-ignore no-explicit-any -- the point is to call them as they may not be called
type Any = any;

describe("hostile arguments", () => {
  gpuForFile();
  const before = Deno.cwd();
  let folder = "";
  beforeAll(() => Deno.chdir(folder = Deno.makeTempDirSync())); // a word is a path, too
  afterAll(() => {
    Deno.chdir(before);
    Deno.removeSync(folder, { recursive: true });
  });

  it("are given to every public module but the command line", () => {
    assertEquals(
      Object.keys(config.exports).filter((name) => name !== "./cli").toSorted(),
      Object.keys(ROOMS).toSorted(),
    );
  });

  const seen = new Set<unknown>();
  for (const [room, exports] of Object.entries(ROOMS)) {
    const targets = Object.entries(exports).flatMap(([name, value]) => targetsOf(name, value, seen));
    it(`end in our errors, whatever ${room} exports is called with (${targets.length} functions)`, async () => {
      const foreign: string[] = [];
      for (const target of targets) await attack(target, foreign);
      assertEquals(foreign, []);
    });
  }

  it("end in our errors in methods, decorators and operators", async () => {
    const made: Record<string, () => object> = {
      Tensor: () => sdk.Tensor.from([[1, 2], [3, 4]], { device: "reference" }),
      Parameter: () => sdk.parameter([2, 2]),
      RMSNorm: () => new nn.RMSNorm(2, 1e-5),
      Linear: () => new nn.Linear(2, 2, true),
      KVCache: () => new nn.KVCache({ layers: 1, heads: 1, headDim: 2, maxLength: 4, device: "reference" }),
      Shader: () => sdk.shader({ code: "@compute @workgroup_size(1) fn main() {}" }),
      FileCache: () => new registry.FileCache("cache"),
      KernelReport: () => new sdk.KernelReport([], []),
    };
    const site = sdk.replaces(nn.RMSNorm);
    const functions: Record<string, (...args: Any[]) => unknown> = {
      "layer()": sdk.layer("Mine"),
      "kernel()": sdk.kernel({ site }) as Any,
      "layout()": sdk.layout({ site }) as Any,
      "capture()": sdk.capture(() => 1),
      "operator()": ops.operator({
        name: "mine",
        infer: (x: sdk.Tensor) => ({ shape: x.shape, dtype: x.dtype }),
        webgpu: () => {},
        reference: () => {},
      }),
      "randomSource()": testing.randomSource(1),
    };
    const foreign: string[] = [];
    for (const [name, fn] of Object.entries(functions)) {
      await attack({ name, arity: fn.length, call: (args) => fn(...args) }, foreign);
    }
    for (const [name, make] of Object.entries(made)) {
      for (const method of methodsOf(make())) {
        const call = (args: unknown[]) => {
          const object = make() as Any;
          return object[method](...args);
        };
        await attack({ name: `${name}.${method}`, arity: (make() as Any)[method].length, call }, foreign);
      }
    }
    assertEquals(foreign, []);
  });
});

// ---------------------------------------------------------------------------

function isObject(value: Any): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function targetsOf(name: string, value: Any, seen: Set<unknown>): Target[] {
  if (value === null || !["function", "object"].includes(typeof value) || seen.has(value)) return [];
  seen.add(value);
  if (typeof value === "object") {
    return Object.entries(value).flatMap(([key, fn]: [string, Any]) => {
      if (typeof fn !== "function" || seen.has(fn)) return [];
      seen.add(fn);
      return [{ name: `${name}.${key}`, arity: fn.length, call: (args: unknown[]) => value[key](...args) }];
    });
  }
  if (value === ops.probeProducts) { // without options it would measure for a minute
    const quick = { budgetMs: 0, cache: false as const };
    return [{ name, arity: 1, call: ([o = {}]: Any[]) => value(isObject(o) ? { ...quick, ...o } : o) }];
  }
  if (!/^[A-Z]/.test(name)) return [{ name, arity: value.length, call: (args) => value(...args) }];
  const statics = Object.getOwnPropertyNames(value).filter((key) =>
    typeof value[key] === "function" && key !== "prototype"
  );
  return [
    { name: `new ${name}`, arity: value.length, call: (args) => new value(...args) },
    ...statics.map((key) => ({
      name: `${name}.${key}`,
      arity: value[key].length,
      call: (args: unknown[]) => value[key](...args),
    })),
  ];
}

function methodsOf(object: object): string[] {
  const names = new Set<string>();
  for (let at = Object.getPrototypeOf(object); at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (name !== "constructor" && typeof value === "function") names.add(name);
    }
  }
  return [...names];
}

async function attack({ name, arity, call }: Target, foreign: string[]): Promise<void> {
  const places = new Set<string>(); // one line for each place that throws
  for (const names of argumentsFor(name, arity)) {
    const args = names.map((n) => HOSTILE[n]());
    try {
      const result = await call(args);
      for (
        const t of tensorsIn([
          result,
          (result as Any)?.keys,
          (result as Any)?.values,
          (result as Any)?.position,
        ])
      ) {
        t.dispose();
      }
    } catch (error) {
      if (error instanceof sdk.KernelwrightError && /^KW-[A-Z-]+$/.test(error.code)) continue;
      const stack = String((error as Error | undefined)?.stack).split("\n");
      const place = stack.find((line) => line.includes("/sdk/"))?.trim() ?? "";
      if (!places.has(place)) {
        foreign.push(`${name}(${names.join(", ")}): ${String(error).split("\n")[0]} ${place}`);
      }
      places.add(place);
    } finally {
      for (const t of tensorsIn(args)) if (!Object.isFrozen(t)) t.dispose();
    }
  }
}

/** Nothing; each value alone and in every place at once; and some of them drawn, always the same for a function. */
function argumentsFor(name: string, arity: number): string[][] {
  const all = Object.keys(HOSTILE);
  const next = random([...name].reduce((n, c) => n * 31 + c.charCodeAt(0) | 0, arity));
  const draw = () => all[Math.floor(next() * all.length)];
  const most = Math.max(2, arity);
  return [
    [],
    ...all.flatMap((n) => Array.from({ length: most }, (_, i) => new Array<string>(i + 1).fill(n))),
    ...Array.from({ length: DRAWN }, () => Array.from({ length: 1 + Math.floor(next() * (most + 1)) }, draw)),
  ];
}
