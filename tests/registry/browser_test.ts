/** What a bundle is for besides Deno: a page that has the SDK loads it, swaps it in, and computes with it. */
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { Tensor } from "@kernelwright/sdk";
import { LlamaMLP, ModuleList, RMSNorm } from "@kernelwright/sdk/nn";
import { bundlePackage } from "../../sdk/cli/bundle.ts";
import { bundleForPage } from "../helpers/bundle_for_page.ts";
import { findChromium, openPage } from "../helpers/chromium.ts";

const root = fromFileUrl(new URL("../../", import.meta.url));
const chromium = findChromium();

interface Result {
  readonly error?: string;
  readonly swapped: readonly string[];
  readonly byReference: readonly string[];
  readonly dom: string;
  readonly adapter?: string;
  readonly plain?: readonly number[];
  readonly fused?: readonly number[];
  readonly eager?: readonly number[];
  readonly awaits?: boolean;
}

let files: Map<string, string>;
let folder = "";

describe("in a browser", () => {
  beforeAll(async () => {
    folder = Deno.makeTempDirSync({ prefix: "kernelwright-browser-" });
    await bundlePackage(join(root, "examples", "rmsnorm-mlp"), folder);
    files = await bundleForPage({
      mod: "mod.ts",
      nn: "sdk/entry/nn.ts",
      ops: "sdk/entry/ops.ts",
      registry: "sdk/entry/registry.ts",
    });
    for (const name of ["kernel.js", "kernel.json"]) {
      const text = Deno.readTextFileSync(join(folder, name));
      files.set(`/kernels/rmsnorm-mlp/${name}`, text);
      files.set(`/changed/${name}`, name.endsWith(".js") ? `${text}// and more` : text);
    }
    files.set("/", PAGE);
  });
  afterAll(() => Deno.removeSync(folder, { recursive: true }));

  it("the SDK is bundled without an import of Node.js", () => {
    for (const [path, text] of files) {
      const found = /\b(from|import)\s*\(?\s*["']node:[^"']+["']/.exec(text);
      assertEquals(found?.[0], undefined, path);
    }
  });

  it("the SDK is bundled without what zod has in fifty languages", () => {
    for (const [path, text] of files) {
      assert(!text.includes("Ongeldige invoer"), `${path}: write import * as z from "zod" everywhere`);
    }
  });

  if (!chromium) {
    it.ignore("a page loads the SDK and a bundle (no Chromium was found; CHROMIUM may name one)", () => {});
  } else {
    it("a page loads the SDK and a bundle, swaps it in, shows the report, and computes the same on WebGPU where it has it", async () => {
      const read = (path: string) => {
        const text = files.get(path);
        return text === undefined ? undefined : new TextEncoder().encode(text);
      };
      const result: Result = JSON.parse((await openPage(chromium, { read }, 25_000)).text);
      assertEquals(result.error, undefined);
      assertEquals(result.swapped, ["RMSNormMLP"]);
      assertEquals(result.byReference, [
        "RMSNormMLP",
        "RMSNormMLP",
        "KW-REF-UNTRUSTED",
        "KW-REF-DIGEST",
        "KW-REF-LOCK",
        "KW-REF-REGISTRY",
      ]);
      assertStringIncludes(result.dom, "RMSNormMLP");
      if (result.adapter === undefined) {
        console.log("the page has no WebGPU adapter: swapped on meta only");
        return;
      }
      console.log(`the page's adapter: ${result.adapter}`);
      const { plain, fused, eager } = result;
      assertEquals([plain!.length, fused!.length], [3 * 8, 3 * 8]);
      const exact = await onReference();
      const largest = Math.max(...exact.map(Math.abs));
      for (const values of [plain!, fused!]) {
        const off = Math.max(...exact.map((x, i) => Math.abs(x - values[i])));
        assert(off < 1e-5 * largest, `off by ${off} of ${largest}`);
      }
      // Reading without awaiting is Deno's way; tried here, getMappedRange() throws, and the promise is awaited.
      assertEquals(result.awaits, true);
      assertEquals(eager, fused);
    });
  }
});

// ---------------------------------------------------------------------------

/** What the page computes, in float64 on the host. */
async function onReference(): Promise<number[]> {
  const device = "reference";
  const [norm, mlp] = [new RMSNorm(8), new LlamaMLP(8, 12)];
  const both = new ModuleList([norm, mlp]);
  both.loadStateDict(
    new Map([...both.stateDict()].map(([key, p], k) => [
      key,
      Tensor.from(Float32Array.from({ length: p.size }, (_, i) => 2 * Math.sin(i * 1.3 + k)), {
        shape: p.shape,
        device,
      }),
    ])),
  );
  const x = Tensor.from(Float32Array.from({ length: 24 }, (_, i) => Math.cos(i)), {
    shape: [1, 3, 8],
    device,
  });
  return [...await mlp.call(norm.call(x)).data()].map(Number);
}

const PAGE = `<!doctype html>
<title>Kernelwright</title>
<script type="importmap">
{
  "imports": {
    "@kernelwright/sdk": "/mod.js",
    "@kernelwright/sdk/nn": "/nn.js",
    "@kernelwright/sdk/ops": "/ops.js",
    "@kernelwright/sdk/registry": "/registry.js"
  }
}
</script>
<pre id="report"></pre>
<script type="module">
const result = {};
try {
  const sdk = await import("@kernelwright/sdk");
  const { RMSNorm, LlamaMLP } = await import("@kernelwright/sdk/nn");
  const { kernelResolver } = await import("@kernelwright/sdk/registry");
  const { RMSNormMLP } = await import("/kernels/rmsnorm-mlp/kernel.js");
  class Block extends sdk.Module {
    constructor() {
      super();
      this.norm = new RMSNorm(8);
      this.mlp = new LlamaMLP(8, 12);
    }
    forward(x) {
      return this.mlp.call(this.norm.call(x));
    }
  }
  const config = { kernels: [{ fuse: [["RMSNorm", "norm"], ["LlamaMLP", "mlp"]], with: RMSNormMLP }] };
  const onMeta = new Block();
  const report = await sdk.kernelize(onMeta, config, { inputs: [sdk.Tensor.empty([1, 3, 8], { device: "meta" })] });
  document.querySelector("#report").textContent = String(report);
  result.swapped = report.swapped.map((s) => s.kernel);
  result.dom = document.querySelector("#report").textContent;

  const byReference = async (ref, options) => {
    const named = { kernels: [{ fuse: [["RMSNorm", "norm"], ["LlamaMLP", "mlp"]], with: ref }] };
    const inputs = [sdk.Tensor.empty([1, 3, 8], { device: "meta" })];
    const resolver = kernelResolver({ publishers: [new URL("/", location.href).href], ...options });
    const base = new URL("kernels.json", location.href);
    return await sdk.kernelize(new Block(), named, { inputs, base, resolver })
      .then((report) => report.swapped.map((s) => s.kernel).join(), (error) => error.code ?? String(error));
  };
  result.byReference = [
    await byReference("./kernels/rmsnorm-mlp:RMSNormMLP"),
    await byReference("./kernels/rmsnorm-mlp/kernel.js:RMSNormMLP"),
    await byReference("./kernels/rmsnorm-mlp:RMSNormMLP", { publishers: [] }),
    await byReference("./changed:RMSNormMLP"),
    await byReference("./kernels/rmsnorm-mlp:RMSNormMLP", { lock: "kernels.lock" }),
    await byReference("npm:some-kernel@1:RMSNormMLP", { trust: true }),
  ];

  const adapter = await navigator.gpu?.requestAdapter();
  if (adapter) {
    const gpu = await sdk.openGpu();
    result.adapter = [adapter.info.vendor, adapter.info.architecture].join(" ");
    const model = new Block();
    model.loadStateDict(new Map([...model.stateDict()].map(([key, p], k) => [
      key,
      sdk.Tensor.from(Float32Array.from({ length: p.size }, (_, i) => 2 * Math.sin(i * 1.3 + k)), { shape: p.shape }),
    ])));
    const x = sdk.Tensor.from(Float32Array.from({ length: 24 }, (_, i) => Math.cos(i)), { shape: [1, 3, 8] });
    const values = async () => [...await model.call(x).data()];
    result.plain = await values();
    const swapped = await sdk.kernelize(model, config, { inputs: [x] });
    document.querySelector("#report").textContent += "\\n" + swapped;
    result.fused = await values();
    result.awaits = !gpu.readback.eager;
    gpu.readback.eager = true;
    result.eager = await values();
  }
} catch (error) {
  result.error = String(error?.stack ?? error);
}
await fetch("/result", { method: "POST", body: JSON.stringify(result) });
</script>
`;
