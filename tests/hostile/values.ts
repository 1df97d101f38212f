/** Arguments as nobody should give them. */
import { Module, Tensor } from "../../mod.ts";

/** What values are made for one call, and given back behind it. */
export interface HostileValues {
  /** By a name for the report. */
  readonly all: ReadonlyMap<string, unknown>;
  /** Releases what has memory. */
  dispose(): void;
}

/** A fresh set: some calls change what they get. */
export function hostileValues(): HostileValues {
  const reference = Tensor.from([[1, 2], [3, 4]], { device: "reference" });
  const released = Tensor.from([1], { device: "reference" });
  released.dispose();
  const meta = Tensor.empty([2, 2], { device: "meta" });
  const cycle: unknown[] = [];
  cycle.push(cycle);
  const all = new Map<string, unknown>(Object.entries({
    undefined: undefined,
    null: null,
    NaN: NaN,
    "-1": -1,
    "0.5": 0.5,
    3: 3,
    "2^53": 2 ** 53,
    Infinity: Infinity,
    "empty string": "",
    word: "x",
    "a path that cannot be": "/dev/null/x\0",
    "a reference": "./a#b?c%:K",
    "a long word": "y".repeat(3000),
    symbol: Symbol("s"),
    bigint: 10n,
    true: true,
    "empty array": [],
    "array of null": [null],
    "array of undefined": [undefined],
    "array of NaN": [NaN],
    "array of symbols": [Symbol("s")],
    "array of words": ["a", "b"],
    "array of numbers": [2, 2],
    "array of negative": [-1, -1],
    "array of tensors": [meta, reference],
    "array with holes": new Array(3),
    "array in itself": cycle,
    "frozen array": Object.freeze([1, 2]),
    object: {},
    "frozen object": Object.freeze({ shape: [2], dtype: "f32" }),
    "object without prototype": Object.create(null),
    "object of nulls": { shape: null, dtype: null, name: null, site: null, from: null, inputs: null, device: null },
    "object of words": { shape: "x", dtype: "x", name: "x", site: "x", from: "x", inputs: "x", device: "x", kernels: "x" },
    "object with a length": { length: -1 },
    function: () => {},
    "async function": async () => {},
    class: class {},
    "module class": class Mine extends Module {},
    proxy: new Proxy({}, {}),
    "proxy of a function": new Proxy(function () {}, {}),
    "proxy of an array": new Proxy([], {}),
    map: new Map([["a", 1]]),
    set: new Set([1]),
    date: new Date(NaN),
    "regular expression": /x/g,
    promise: Promise.resolve(),
    floats: new Float32Array(3),
    bytes: new Uint8Array(5),
    bigints: new BigInt64Array(1),
    view: new DataView(new ArrayBuffer(4)),
    buffer: new ArrayBuffer(4),
    error: new Error("an error"),
    url: new URL("file:///nowhere/at/all"),
    meta,
    released,
    reference,
    "frozen tensor": Object.freeze(Tensor.empty([2], { device: "meta" })),
    module: new Module(),
    "frozen module": Object.freeze(new Module()),
  }));
  return { all, dispose: () => reference.dispose() };
}
