import { afterAll, beforeAll, beforeEach, describe, it } from "@std/testing/bdd";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { kernelize, KernelwrightError, Module, Tensor } from "@kernelwright/sdk";
import { replace } from "@kernelwright/sdk/config";
import { kernelDefinition } from "@kernelwright/sdk/inspect";
import { LayerNorm, RMSNorm, SiluAndMul } from "@kernelwright/sdk/nn";
import { bundlePackage } from "../../sdk/cli/bundle.ts";
import {
  inspectReference,
  kernelResolver,
  type ResolverOptions,
  sha256,
  userSettings,
} from "../../sdk/registry/mod.ts";
import { serve, type TestServer } from "./server.ts";

const examples = fromFileUrl(new URL("../../examples/", import.meta.url));
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (text: string) => new Uint8Array(new TextEncoder().encode(text));

let server: TestServer;
let folder = "";
let options: ResolverOptions;
let good: Map<string, Uint8Array<ArrayBuffer>>;

class Model extends Module {
  act: Module;
  constructor(act: Module = new SiluAndMul()) {
    super();
    this.act = act;
  }
  override forward(...x: Tensor[]): unknown {
    return this.act.call(...x as never[]);
  }
}

const code = async (run: () => Promise<unknown>) =>
  ((await assertRejects(run, KernelwrightError)) as KernelwrightError).code;
const ref = (path = "swiglu/kernel.js:SwiGLU") => `${server.url}${path}`;
const load = (given: ResolverOptions = {}, path?: string) =>
  kernelResolver({ ...options, ...given })(ref(path), undefined);

describe("the registry", () => {
  beforeAll(async () => {
    server = serve();
    folder = Deno.makeTempDirSync({ prefix: "kernelwright-registry-" });
    await bundlePackage(join(examples, "swiglu"), join(folder, "swiglu"));
    await bundlePackage(join(examples, "custom-rmsnorm"), join(folder, "norm"));
    good = new Map(
      ["swiglu", "norm"].flatMap((d) =>
        ["kernel.js", "kernel.json"].map((f) => [`${d}/${f}`, Deno.readFileSync(join(folder, d, f))] as const)
      ),
    );
  });
  afterAll(async () => {
    await server.close();
    Deno.removeSync(folder, { recursive: true });
  });
  beforeEach(() => {
    server.files.clear();
    for (const [path, file] of good) server.files.set(path, file);
    server.requests.length = 0;
    options = {
      cache: Deno.makeTempDirSync({ dir: folder }),
      config: join(folder, "user.json"),
      lock: join(Deno.makeTempDirSync({ dir: folder }), "kernels.lock"),
      publishers: [server.url],
      limits: { timeout: 500 },
    };
  });

  describe("bundlePackage()", () => {
    it("gives the same bytes for the same sources, wherever they lie", async () => {
      const copy = join(folder, "elsewhere");
      Deno.mkdirSync(copy);
      for (const f of ["deno.json", "kernel.ts", "mod.ts", "swiglu.wgsl"]) {
        Deno.copyFileSync(join(examples, "swiglu", f), join(copy, f));
      }
      await bundlePackage(copy, join(folder, "again"));
      for (const f of ["kernel.js", "kernel.json"]) {
        assertEquals(text(Deno.readFileSync(join(folder, "again", f))), text(good.get(`swiglu/${f}`)!));
      }
    });

    it("reads the signatures off the types, and leaves the SDK outside", () => {
      const { kernels, sdk } = JSON.parse(text(good.get("norm/kernel.json")!));
      assertEquals(sdk, "^0.1.0");
      assertEquals(kernels.CustomRMSNorm.layout.constructor, [
        { name: "hidden_size", type: "number" },
        { name: "eps", type: "number", optional: true },
      ]);
      assertEquals(kernels.CustomRMSNorm.forward, {
        parameters: [{ name: "hidden_states", type: "Tensor" }],
        result: "Tensor",
      });
      assertStringIncludes(text(good.get("norm/kernel.js")!), 'from "@kernelwright/sdk"');
      assertStringIncludes(text(good.get("norm/kernel.js")!), "@compute");
    });

    it("refuses a folder without a package, and code that does not bundle", async () => {
      const empty = Deno.makeTempDirSync({ dir: folder });
      assertEquals(await code(() => bundlePackage(empty)), "KW-BUNDLE");
      Deno.writeTextFileSync(
        join(empty, "deno.json"),
        '{"name":"@a/b","version":"1.0.0","exports":"./mod.ts"}',
      );
      Deno.writeTextFileSync(join(empty, "mod.ts"), "export const x = ;");
      assertEquals(await code(() => bundlePackage(empty)), "KW-BUNDLE");
      assertEquals([...Deno.readDirSync(empty)].length, 2);
    });
  });

  it("bundles files that the package has names for, and refuses what a bundle cannot carry", async () => {
    const dir = Deno.makeTempDirSync({ dir: folder });
    const write = (name: string, text: string) => Deno.writeTextFileSync(join(dir, name), text);
    for (const f of ["kernel.ts", "swiglu.wgsl"]) {
      Deno.copyFileSync(join(examples, "swiglu", f), join(dir, f));
    }
    write(
      "deno.json",
      JSON.stringify({
        name: "@a/b",
        version: "1.0.0",
        exports: "./mod.ts",
        imports: {
          "#own": "./own.ts",
          "zod": "npm:zod@^4",
          "@kernelwright/sdk": "jsr:@kernelwright/sdk@^0.1.0",
        },
      }),
    );
    write("own.ts", "export const mine = 42;");
    write("mod.ts", 'export * from "./kernel.ts"; export { mine } from "#own";');
    const { folder: out } = await bundlePackage(dir);
    assertStringIncludes(Deno.readTextFileSync(join(out, "kernel.js")), "mine = 42");
    Deno.removeSync(out, { recursive: true });
    for (
      const foreign of ["zod", "npm:zod@4", "jsr:@std/path", "https://a.example/b.js", "node:fs", "lodash/fp"]
    ) {
      write("mod.ts", `export * from "./kernel.ts"; export * from "${foreign}";`);
      const error = await assertRejects(() => bundlePackage(dir), KernelwrightError);
      assertEquals(error.code, "KW-BUNDLE-DEPENDENCY", error.message);
      assertStringIncludes(error.message, `"${foreign}"`);
      assertStringIncludes(error.diagnostic.where?.file ?? "", "mod.ts");
      assert(![...Deno.readDirSync(dir)].some((e) => e.name === "dist"), "something was written");
    }
  });

  describe("a reference", () => {
    it("is locked, loaded, put into a model, and loaded again without the network", async () => {
      await load({ update: true });
      const resolver = kernelResolver(options);
      const model = new Model();
      const meta = () => Tensor.empty([2, 3], { device: "meta" });
      const report = await kernelize(model, { kernels: [replace("SiluAndMul", ref())] }, {
        resolver,
        inputs: [meta(), meta()],
      });
      assertEquals(report.swapped.map((s) => s.kernel), ["SwiGLU"]);
      server.requests.length = 0;
      assertEquals(kernelDefinition(await load({ offline: true })).name, "SwiGLU");
      assertEquals(server.requests, []);
    });

    it("is refused when it is not in the lock, and when the lock differs", async () => {
      assertEquals(await code(() => load()), "KW-REF-LOCK");
      await load({ update: true });
      const manifest = JSON.parse(text(good.get("swiglu/kernel.json")!));
      server.files.set("swiglu/kernel.json", bytes(JSON.stringify({ ...manifest, version: "0.1.1" })));
      assertEquals(await code(() => load({ cache: Deno.makeTempDirSync({ dir: folder }) })), "KW-REF-LOCK");
      Deno.writeTextFileSync(options.lock!, "{");
      assertEquals(await code(() => load()), "KW-REF-LOCK");
    });

    it("is refused when one byte of its code differs", async () => {
      const changed = good.get("swiglu/kernel.js")!.slice();
      changed[changed.length >> 1] ^= 1;
      server.files.set("swiglu/kernel.js", changed);
      assertEquals(await code(() => load({ update: true })), "KW-REF-DIGEST");
    });

    it("is refused when its code has another size than kernel.json says", async () => {
      const manifest = JSON.parse(text(good.get("swiglu/kernel.json")!));
      const file = { ...manifest.files["kernel.js"], bytes: 1 };
      const files = { ...manifest.files, "kernel.js": file };
      server.files.set("swiglu/kernel.json", bytes(JSON.stringify({ ...manifest, files })));
      assertEquals(await code(() => load({ update: true })), "KW-REF-DIGEST");
    });

    it("whose path hides a slash or a dot, or that is not an address, is refused", async () => {
      for (
        const odd of ["org/..%2fother/kernel.js:X", "org/..%5Cother/kernel.js:X", "%2e%2e%2fx/kernel.js:X"]
      ) {
        assertEquals(await code(() => load({ update: true }, odd)), "KW-REF-ESCAPES", odd);
      }
      for (const odd of ["https://[/kernel.js:X", "https://a b/kernel.js:X", "http://:X"]) {
        assertEquals(await code(() => kernelResolver({ trust: true })(odd, undefined)), "KW-REF-SYNTAX", odd);
      }
      const base = new URL("https://kernels.example/kernels.json");
      assertEquals(await code(() => kernelResolver({ trust: true })("./\uD800:X", base)), "KW-REF-SYNTAX");
      // Brackets are a name on the same host.
      assertEquals(await code(() => kernelResolver()("//[:X", base)), "KW-REF-UNTRUSTED");
    });

    it("is fetched again where a file of the cache was changed", async () => {
      await load({ update: true });
      for (const { name, isFile } of Deno.readDirSync(options.cache!)) {
        if (isFile) Deno.writeTextFileSync(join(options.cache!, name), "changed");
      }
      assertEquals(await code(() => load({ offline: true })), "KW-REF-FETCH");
      await load();
    });

    it("is refused when its publisher is not trusted, before anything is fetched", async () => {
      assertEquals(await code(() => load({ publishers: [] })), "KW-REF-UNTRUSTED");
      // The beginning of a name is nobody's name.
      assertEquals(await code(() => load({ publishers: [server.url.slice(0, -1)] })), "KW-REF-UNTRUSTED");
      assertEquals(server.requests, []);
      await load({ publishers: [], trust: true, update: true });
      const npm = () => kernelResolver({})("npm:some-kernel@1.0.0:Kernel", undefined);
      assertEquals(await code(npm), "KW-REF-UNTRUSTED");
    });

    it("is trusted by a list of the user's, and by none that cannot be read", async () => {
      const file = join(folder, "config.json");
      assertEquals(await userSettings(join(folder, "none.json")), {});
      Deno.writeTextFileSync(file, '{ "publishers": ["https://kernels.example/"] }');
      assertEquals(await userSettings(file), { publishers: ["https://kernels.example/"] });
      for (const bad of ["{", '{ "publishers": ["https://kernels.example"] }', '{ "trust": "yes" }']) {
        Deno.writeTextFileSync(file, bad);
        assertEquals(await code(() => userSettings(file)), "KW-REF-UNTRUSTED");
      }
    });

    it("is refused when a package's version may move under the lock", async () => {
      const moving = () =>
        kernelResolver({ ...options, trust: true })("jsr:@you/kernel@^1:Kernel", undefined);
      assertEquals(await code(moving), "KW-REF-LOCK");
    });

    it("is refused when kernel.json does not fit the model, before its code is fetched", async () => {
      await load({ update: true });
      options = { ...options, cache: Deno.makeTempDirSync({ dir: folder }) };
      server.requests.length = 0;
      const kernelized = (model: Module, name: string) =>
        kernelize(model, { kernels: [replace(name, ref())] }, {
          resolver: kernelResolver(options),
          inputs: [Tensor.empty([2, 4], { device: "meta" }), Tensor.empty([2, 4], { device: "meta" })],
        });
      const both = new Model();
      Object.assign(both, { norm: new RMSNorm(4) });
      assertEquals(
        await code(() => kernelized(new Model(new LayerNorm(4)), "LayerNorm")),
        "KW-REF-SIGNATURE",
      );
      assertEquals(await code(() => kernelized(both, "RMSNorm")), "KW-REF-SIGNATURE");
      assertEquals(server.requests.filter((r) => r.endsWith(".js")), []);
      assertEquals((await kernelized(both, "SiluAndMul")).swapped.length, 1);
    });

    it("is refused when kernel.json lies about its signature", async () => {
      const manifest = JSON.parse(text(good.get("swiglu/kernel.json")!));
      for (
        const lie of [
          { parts: [{ name: "", layer: "RMSNorm" }] },
          { requires: {} },
          { layout: { name: "L", constructor: [], drops: [] } },
        ]
      ) {
        const kernels = { SwiGLU: { ...manifest.kernels.SwiGLU, ...lie } };
        server.files.set("swiglu/kernel.json", bytes(JSON.stringify({ ...manifest, kernels })));
        assertEquals(await code(() => load({ lock: undefined })), "KW-REF-SIGNATURE");
      }
    });

    it("is refused when its manifest is malformed or names files elsewhere", async () => {
      const manifest = JSON.parse(text(good.get("swiglu/kernel.json")!));
      const served = async (value: unknown) => {
        server.files.set(
          "swiglu/kernel.json",
          bytes(typeof value === "string" ? value : JSON.stringify(value)),
        );
        return await code(() => load({ lock: undefined }));
      };
      assertEquals(await served("{"), "KW-REF-MANIFEST");
      assertEquals(await served({ ...manifest, format: 2 }), "KW-REF-MANIFEST");
      assertEquals(await served({ ...manifest, entry: "other.js" }), "KW-REF-MANIFEST");
      const file = { bytes: 1, sha256: await sha256(bytes("x")) };
      for (
        const name of ["../kernel.js", "/etc/passwd", "a/b.js", "..", "C:\\x.js", "https://a/b.js", ".hidden"]
      ) {
        const files = { ...manifest.files, [name]: file };
        assertEquals(await served({ ...manifest, files }), "KW-REF-ESCAPES", name);
      }
    });

    it("names the closest export", async () => {
      const error = await assertRejects(
        () => load({ update: true }, "swiglu/kernel.js:SwiGlu"),
        KernelwrightError,
      );
      assertStringIncludes(error.message, 'Did you mean "SwiGLU"?');
    });
  });

  describe("a server", () => {
    const bounded = async (path: string) => {
      const start = performance.now();
      const before = Deno.memoryUsage().rss;
      const got = await code(() => load({ lock: undefined }, `${path}/kernel.js:SwiGLU`));
      assert(performance.now() - start < 3000, "it took too long");
      assert(Deno.memoryUsage().rss - before < 200e6, "it took too much memory");
      return got;
    };
    it("that hangs is given up", async () => assertEquals(await bounded("hang"), "KW-REF-LIMIT"));
    it("that never ends is given up", async () => assertEquals(await bounded("drip"), "KW-REF-LIMIT"));
    it("that redirects for ever is given up", async () =>
      assertEquals(await bounded("loop"), "KW-REF-LIMIT"));
    it("that redirects elsewhere is refused", async () =>
      assertEquals(await bounded("away"), "KW-REF-ESCAPES"));
    it("that sends a gigabyte is cut off", async () => {
      options = { ...options, limits: {} }; // the limits as they are
      assertEquals(await bounded("flood"), "KW-REF-LIMIT");
    });
    it("that has nothing is named", async () => assertEquals(await bounded("none"), "KW-REF-FETCH"));
    it("without https is refused anywhere else", async () => {
      const plain = () => inspectReference("http://192.0.2.1/kernel.js:SwiGLU", { cache: options.cache });
      assertEquals(await code(plain), "KW-REF-ESCAPES");
    });
  });
});
