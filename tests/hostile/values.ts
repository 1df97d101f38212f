/** Arguments as nobody should give them, each made when it is asked for: some calls change what they get. */
import { concatenate, Module, rename, replaces, shader, Tensor } from "../../mod.ts";
import { RMSNorm } from "@kernelwright/sdk/nn";
import { bytesSource } from "../../sdk/checkpoint/mod.ts";

class Plain extends Module {
  override forward(): void {}
}

/** By a name for the report. */
export const HOSTILE: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  NaN: () => NaN,
  "-1": () => -1,
  "0.5": () => 0.5,
  3: () => 3,
  "2^53": () => 2 ** 53,
  Infinity: () => Infinity,
  "empty string": () => "",
  word: () => "x",
  "a path that cannot be": () => "/dev/null/x\0",
  "a reference": () => "./a#b?c%:K",
  "a long word": () => "y".repeat(3000),
  symbol: () => Symbol("s"),
  bigint: () => 10n,
  true: () => true,
  "empty array": () => [],
  "array of null": () => [null],
  "array of undefined": () => [undefined],
  "array of NaN": () => [NaN],
  "array of symbols": () => [Symbol("s")],
  "array of words": () => ["a", "b"],
  "array of numbers": () => [2, 2],
  "array of negative numbers": () => [-1, -1],
  "array of tensors": () => [meta(), reference()],
  "array with holes": () => new Array(3),
  "array in itself": () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    return cycle;
  },
  "frozen array": () => Object.freeze([1, 2]),
  object: () => ({}),
  "frozen object": () => Object.freeze({ shape: [2], dtype: "f32" }),
  "object without prototype": () => Object.create(null),
  "object of nulls": () => Object.fromEntries(FIELDS.map((f) => [f, null])),
  "object of words": () => Object.fromEntries(FIELDS.map((f) => [f, "x"])),
  "object of symbols": () => Object.fromEntries(FIELDS.map((f) => [f, Symbol(f)])),
  "object with a length": () => ({ length: -1 }),
  function: () => () => {},
  "async function": () => async () => {},
  class: () => class {},
  "module class": () => Plain,
  proxy: () => new Proxy({}, {}),
  "proxy of a function": () => new Proxy(function () {}, {}),
  "proxy of an array": () => new Proxy([], {}),
  map: () => new Map([["a", 1]]),
  set: () => new Set([1]),
  date: () => new Date(NaN),
  "regular expression": () => /x/g,
  promise: () => Promise.resolve(),
  floats: () => new Float32Array(3),
  bytes: () => new Uint8Array(5),
  bigints: () => new BigInt64Array(1),
  view: () => new DataView(new ArrayBuffer(4)),
  buffer: () => new ArrayBuffer(4),
  error: () => new Error("an error"),
  url: () => new URL("file:///nowhere/at/all"),
  meta,
  reference,
  released: () => {
    const t = reference();
    t.dispose();
    return t;
  },
  "frozen tensor": () => Object.freeze(meta()),
  module: () => new Plain(),
  "frozen module": () => Object.freeze(new Plain()),
  // As they should be, in the wrong place, or nearly.
  norm: () => new RMSNorm(4, 1e-5),
  rule: () => rename("a", "b"),
  op: () => concatenate(0),
  "rule of no ops": () => ({ from: ["a"], to: ["b"], ops: [null] }),
  site: () => replaces(RMSNorm),
  shader: () => shader({ code: "@compute @workgroup_size(1) fn main() {}" }),
  source: () => bytesSource(new Uint8Array(3)),
  "kernel config": () => ({ kernels: [null] }),
  bundle: () => ({ files: { a: null }, manifest: "x", href: "x", read: () => null, cache: {} }),
  sizes: () => ({
    hidden_size: 2,
    num_attention_heads: 0,
    num_key_value_heads: 0,
    head_dim: -1,
    layers: 1,
    heads: 1,
  }),
};

// ---------------------------------------------------------------------------

const FIELDS = [
  "shape",
  "dtype",
  "name",
  "site",
  "from",
  "to",
  "inputs",
  "device",
  "kernels",
  "code",
  "config",
];

function meta(): Tensor {
  return Tensor.empty([2, 2], { device: "meta" });
}

function reference(): Tensor {
  return Tensor.from([[1, 2], [3, 4]], { device: "reference" });
}
