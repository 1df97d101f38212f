import { afterAll, beforeAll, beforeEach, describe, it } from "@std/testing/bdd";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join, toFileUrl } from "@std/path";
import { kernelize, KernelwrightError, Tensor } from "@kernelwright/sdk";
import { replace } from "@kernelwright/sdk/config";
import { kernelDefinition } from "@kernelwright/sdk/inspect";
import { LlamaMLP } from "@kernelwright/sdk/nn";
import { bundlePackage } from "../../sdk/cli/bundle.ts";
import { kernelResolver, type ResolverOptions, userSettings } from "../../sdk/registry/mod.ts";
import { checkTrust } from "../../sdk/registry/trust.ts";
import { serve, type TestServer } from "./server.ts";

const example = fromFileUrl(new URL("../../examples/swiglu", import.meta.url));
const main = fromFileUrl(new URL("../../sdk/cli/main.ts", import.meta.url));

let server: TestServer;
let folder = "";
let bundle = "";
let options: ResolverOptions;
let ref = "";

const refused = async (run: () => Promise<unknown>) =>
  (await assertRejects(run, KernelwrightError) as KernelwrightError).code;
const load = (given: ResolverOptions = {}) => kernelResolver({ ...options, ...given })(ref, undefined);

function publish(change: object = {}): void {
  server.files.set("swiglu/kernel.js", Deno.readFileSync(join(bundle, "kernel.js")));
  const manifest = JSON.parse(Deno.readTextFileSync(join(bundle, "kernel.json")));
  server.files.set(
    "swiglu/kernel.json",
    new Uint8Array(new TextEncoder().encode(JSON.stringify({ ...manifest, ...change }))),
  );
}

describe("trust", () => {
  beforeAll(async () => {
    server = serve();
    folder = Deno.makeTempDirSync({ prefix: "kernelwright-trust-" });
    bundle = join(folder, "bundle");
    await bundlePackage(example, bundle);
    ref = `${server.url}swiglu/kernel.js:SwiGLU`;
  });
  afterAll(async () => {
    await server.close();
    Deno.removeSync(folder, { recursive: true });
  });
  beforeEach(() => {
    publish();
    const cache = Deno.makeTempDirSync({ dir: folder });
    options = { cache, lock: join(cache, "kernels.lock"), config: join(cache, "user.json") };
  });

  it("is read from the user's file, for all or for single references", async () => {
    const file = join(folder, "config.json");
    const said = async (text: string) => {
      Deno.writeTextFileSync(file, text);
      return await userSettings(file);
    };
    const where = `${server.url}swiglu/kernel.js`;
    for (const trust of [true, [where], ["https://a.example/kernel.js", where]]) {
      assertEquals(await said(JSON.stringify({ trust })), { trust });
      await load({ trust, update: true });
    }
    for (const trust of [false, [], [server.url], [`${where}x`]]) {
      assertEquals(await refused(() => load({ trust, update: true })), "KW-REF-UNTRUSTED");
    }
    for (
      const bad of [
        '{ "trust": "all" }',
        '{ "trust": [1] }',
        '{ "registries": { "npm": "x" } }',
        '{ "x": 1 }',
      ]
    ) {
      assertEquals(await refused(() => said(bad)), "KW-REF-UNTRUSTED");
    }
  });

  it("is asked for what a config from an address has beside it, which is not this machine's", async () => {
    const base = new URL("kernels.json", server.url);
    const beside = (ref: string, given: ResolverOptions) =>
      kernelResolver({ cache: options.cache, ...given })(ref, base);
    for (
      const ref of ["./swiglu:SwiGLU", "swiglu:SwiGLU", "./swiglu/:SwiGLU", "/swiglu/kernel.js:SwiGLU"]
    ) {
      assertEquals(await refused(() => beside(ref, {})), "KW-REF-UNTRUSTED");
      assertEquals(kernelDefinition(await beside(ref, { publishers: [server.url] })).name, "SwiGLU");
    }
    assertEquals(
      await refused(() => beside("./examples/swiglu:SwiGLU", { publishers: [server.url] })),
      "KW-REF-FETCH",
    );
    const here = new URL("../../examples/swiglu/mod.ts", import.meta.url).href;
    assertEquals(await refused(() => beside(`${here}:SwiGLU`, { trust: true })), "KW-REF-SYNTAX");
  });

  it("is remembered by the lock for what was locked, and for nothing else", async () => {
    await load({ trust: true, update: true });
    assertEquals(kernelDefinition(await load()).name, "SwiGLU");
    assertEquals(await refused(() => load({ update: true })), "KW-REF-UNTRUSTED"); // other bytes might come
    publish({ license: "other" });
    const elsewhere = { cache: Deno.makeTempDirSync({ dir: folder }) };
    assertEquals(await refused(() => load(elsewhere)), "KW-REF-LOCK");
    // Trust is personal: a publisher that one user trusts and locks is not trusted for the next user.
    await load({ publishers: [server.url], update: true });
    assertEquals(await refused(() => load()), "KW-REF-UNTRUSTED");
    await load({ publishers: [server.url] });
  });

  it("is of the user who locked it, and of no other", async () => {
    const mine = options.config!;
    await load({ trust: true, update: true });
    await load();
    const { trusted } = await userSettings(mine);
    assertEquals(Object.values(trusted!), [`${server.url}swiglu/kernel.js`]);
    const [lock] = Object.values(JSON.parse(Deno.readTextFileSync(options.lock!)).kernels) as [
      { manifest: string; trusted: boolean },
    ];
    assertEquals([Object.keys(trusted!), lock.trusted], [[lock.manifest], true]);
    // The same lock, come with a project: this user trusts nobody, or something else.
    const theirs = join(options.cache!, "theirs.json");
    assertEquals(await refused(() => load({ config: theirs })), "KW-REF-UNTRUSTED");
    Deno.writeTextFileSync(
      theirs,
      JSON.stringify({ trusted: { ["0".repeat(64)]: `${server.url}swiglu/kernel.js` } }),
    );
    assertEquals(await refused(() => load({ config: theirs })), "KW-REF-UNTRUSTED");
    await load({ config: theirs, publishers: [server.url] });
    // Taken back by the user.
    Deno.writeTextFileSync(mine, "{}");
    assertEquals(await refused(() => load()), "KW-REF-UNTRUSTED");
  });

  it("is kept beside what the user's configuration says, through a link of theirs, or refused", async () => {
    const real = join(options.cache!, "real.json");
    Deno.writeTextFileSync(real, JSON.stringify({ publishers: ["https://kernels.example/"] }));
    Deno.symlinkSync(real, options.config!);
    await load({ trust: true, update: true });
    const kept = await userSettings(real);
    assertEquals(kept.publishers, ["https://kernels.example/"]);
    assertEquals(Object.keys(kept.trusted!).length, 1);
    assert(Deno.lstatSync(options.config!).isSymlink);
    Deno.removeSync(options.lock!);
    const file = join(options.cache!, "file");
    Deno.writeTextFileSync(file, "");
    for (const config of [options.cache!, join(file, "config.json")]) {
      assertEquals(await refused(() => load({ config, trust: true, update: true })), "KW-REF-UNTRUSTED");
      assert(![...Deno.readDirSync(options.cache!)].some((e) => e.name === "kernels.lock"), "it was locked");
    }
  });

  it("is looked for where the environment says, in one order", async () => {
    const at = (name: string) => join(options.cache!, name);
    for (
      const name of [
        "named",
        "xdg/kernelwright/config",
        "appdata/kernelwright/config",
        "home/.config/kernelwright/config",
      ]
    ) {
      const file = at(`${name}.json`);
      Deno.mkdirSync(join(file, ".."), { recursive: true });
      Deno.writeTextFileSync(
        file,
        JSON.stringify({ publishers: [`https://${name.split("/")[0]}.example/`] }),
      );
    }
    const saved = ["KERNELWRIGHT_CONFIG", "XDG_CONFIG_HOME", "APPDATA", "HOME"].map((n) =>
      [n, Deno.env.get(n)] as const
    );
    try {
      Deno.env.set("KERNELWRIGHT_CONFIG", at("named.json"));
      Deno.env.set("XDG_CONFIG_HOME", at("xdg"));
      Deno.env.set("APPDATA", at("appdata"));
      Deno.env.set("HOME", at("home"));
      const found: unknown[] = [];
      for (const [name] of saved) {
        found.push((await userSettings()).publishers?.[0]);
        Deno.env.delete(name);
      }
      assertEquals(found, ["named", "xdg", "appdata", "home"].map((n) => `https://${n}.example/`));
      assertEquals(await userSettings(), {});
      // Nowhere to keep it: then nothing is locked with trust.
      assertEquals(
        await refused(() => load({ config: undefined, trust: true, update: true })),
        "KW-REF-UNTRUSTED",
      );
      assert(![...Deno.readDirSync(options.cache!)].some((e) => e.name === "kernels.lock"), "it was locked");
    } finally {
      for (const [name, value] of saved) {
        value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
      }
    }
  });

  it("is kept for several kernels, each once", async () => {
    await load({ trust: true, update: true });
    const before = Deno.readTextFileSync(options.config!);
    Deno.removeSync(options.lock!);
    await load({ trust: true, update: true });
    assertEquals(Deno.readTextFileSync(options.config!), before);
    publish({ license: "other" });
    await load({ trust: true, update: true, cache: Deno.makeTempDirSync({ dir: folder }) });
    assertEquals(Object.keys((await userSettings(options.config!)).trusted!).length, 2);
    assertEquals(
      [...Deno.readDirSync(options.cache!)].filter((e) => e.name.startsWith("user.json")).length,
      1,
    );
  });

  it("is not given by a lock whose files, digests or version are not those of its kernel.json", async () => {
    await load({ publishers: [server.url], update: true });
    const lock = JSON.parse(Deno.readTextFileSync(options.lock!));
    const where = Object.keys(lock.kernels)[0];
    const entry = lock.kernels[where];
    const zero = "0".repeat(64);
    for (
      const change of [
        { files: { "kernel.js": zero } },
        { files: {} },
        { files: { ...entry.files, "more.js": zero } },
        { files: { "other.js": entry.files["kernel.js"] } },
        { version: "@kernelwright/example-swiglu@9.9.9" },
        { version: "@kernelwright/other@0.1.0" },
        { manifest: zero },
        { unknown: true },
        { trusted: "yes" },
      ]
    ) {
      const kernels = { [where]: { ...entry, ...change } };
      Deno.writeTextFileSync(options.lock!, JSON.stringify({ ...lock, kernels }));
      const load2 = () => load({ publishers: [server.url] });
      assertEquals(await refused(load2), "KW-REF-LOCK", JSON.stringify(change));
    }
    Deno.writeTextFileSync(options.lock!, JSON.stringify({ ...lock, version: 2 }));
    assertEquals(await refused(() => load({ publishers: [server.url] })), "KW-REF-LOCK");
  });

  it("is not given by a lock that names, for a trusted publisher, what a stranger's address once sent", async () => {
    await load({ publishers: [server.url], update: true });
    const lock = JSON.parse(Deno.readTextFileSync(options.lock!));
    const [entry] = Object.values(lock.kernels);
    const other = `${server.url}trusted/kernel.js`; // has nothing
    Deno.writeTextFileSync(options.lock!, JSON.stringify({ ...lock, kernels: { [other]: entry } }));
    for (const offline of [true, false]) {
      const resolver = kernelResolver({ ...options, publishers: [`${server.url}trusted/`], offline });
      assertEquals(await refused(() => resolver(`${other}:SwiGLU`, undefined)), "KW-REF-FETCH");
    }
  });

  it("is of a publisher as a whole: its address as a prefix, up to a slash, and nowhere else", () => {
    const says = (where: string, publishers: string[], publisher?: string) => {
      try {
        return checkTrust(where, { publishers }, publisher);
      } catch (error) {
        return (error as KernelwrightError).code;
      }
    };
    const no = "KW-REF-UNTRUSTED";
    const org = ["https://host.example/org/"];
    assertEquals(says("https://host.example/org/kernel.js", org), "publisher");
    assertEquals(says("https://host.example/organisation/kernel.js", org), no);
    assertEquals(says("https://host.example/organisation/kernel.js", ["https://host.example/org"]), no);
    assertEquals(says("https://host.example/other/kernel.js", org), no);
    assertEquals(says("https://evil.example/https://host.example/org/kernel.js", org), no);
    assertEquals(says("https://evil.example/?from=https://host.example/org/kernel.js", org), no);
    assertEquals(says("https://evil.example/https://host.example/org/", org), no);
    assertEquals(says("https://host.example.evil.example/org/kernel.js", ["https://host.example/"]), no);
    assertEquals(says("https://sub.host.example/org/kernel.js", org), no);
    assertEquals(says("https://evil.example/x.js", [""]), no);
    assertEquals(says("npm:@me/k@1", ["npm:@me/"], "npm:@me/k/"), "publisher");
    assertEquals(says("npm:@mean/k@1", ["npm:@me/", "npm:@me"], "npm:@mean/k/"), no);
    assertEquals(says("npm:evil-npm:@me/", ["npm:@me/"], "npm:evil-npm:@me/"), no);
    assertEquals(says("npm:kernel-evil@1", ["npm:kernel/"], "npm:kernel-evil/"), no);
    assertEquals(says("jsr:@you/k@1", ["npm:@you/"], "jsr:@you/k/"), no);
    assertEquals(checkTrust("https://a.example/x.js", { trust: true }), "user");
    assertEquals(checkTrust("https://a.example/x.js", { trust: ["https://a.example/x.js"] }), "user");
  });

  it("stays with the same bytes when they are locked again by a publisher's name", async () => {
    await load({ trust: true, update: true });
    await load({ publishers: [server.url], update: true });
    await load();
  });

  it("cannot be said by the kernel", async () => {
    publish({ trust: true, trusted: true });
    assertEquals(await refused(() => load({ publishers: [server.url] })), "KW-REF-LOCK");
    await load({ publishers: [server.url], update: true });
    assertEquals(await refused(() => load()), "KW-REF-UNTRUSTED");
  });

  describe("on the command line", () => {
    const cli = async (args: string[], more: Record<string, string> = {}) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", main, ...args],
        env: {
          NO_COLOR: "1",
          KERNELWRIGHT_CACHE: options.cache!,
          KERNELWRIGHT_CONFIG: join(folder, "none.json"),
          ...more,
        },
      }).output();
      const decoder = new TextDecoder();
      return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
    };

    it("is said with --trust, and holds for the kernels.json beside the lock", async () => {
      const model = await tinyModel(folder);
      const kernels = join(options.cache!, "kernels.json");
      Deno.writeTextFileSync(kernels, JSON.stringify({ kernels: [replace("SiluAndMul", ref)] }));
      const inspect = ["inspect", model, "--kernels", kernels];
      let said = await cli(inspect);
      assertStringIncludes(said.stderr, "KW-REF-UNTRUSTED");
      assertEquals((await cli(["lock", "--lock", options.lock!, ref])).code, 1);
      said = await cli(["lock", "--lock", options.lock!, "--trust", ref]);
      assertStringIncludes(said.stdout, "trusted by you");
      assertStringIncludes((await cli(["versions", "--lock", options.lock!])).stdout, "trusted");
      assertEquals((await cli(["verify", "--offline", "--lock", options.lock!])).code, 0);
      const taken = [
        inspect,
        ["run", "--model", model, "--kernels", kernels, "--ids", "1", "--max-new-tokens", "1"],
        ["report", "--model", model, "--kernels", kernels, "--ids", "1,2", "--json"],
        ["demo", "--model", model, "--kernels", kernels, "--max-new-tokens", "2"],
      ];
      for (const { code, stdout, stderr } of await Promise.all(taken.map((args) => cli(args)))) {
        assertEquals(code, 0, stderr);
        assertStringIncludes(stdout + stderr, "SwiGLU");
      }
      said = await cli(["lock", "--lock", options.lock!, "./here:Kernel"]);
      assertStringIncludes(said.stderr, "nothing to lock");
    });
  });
});

describe("a folder with a bundle", () => {
  const where = () => toFileUrl(`${folder}/`);
  const at = (ref: string) => kernelResolver({ cache: join(folder, "cache") })(ref, where());

  beforeAll(async () => {
    folder = Deno.makeTempDirSync({ prefix: "kernelwright-folder-" });
    await bundlePackage(example, join(folder, "bundle"));
  });
  afterAll(() => Deno.removeSync(folder, { recursive: true }));

  it("is loaded by its folder, by its file and by its URL, and put into a model", async () => {
    const resolver = kernelResolver({ cache: join(folder, "cache") });
    for (const ref of ["./bundle", "./bundle/", "./bundle/kernel.js", `${where().href}bundle`]) {
      assertEquals(kernelDefinition(await at(`${ref}:SwiGLU`)).name, "SwiGLU");
    }
    const model = new LlamaMLP(4, 4);
    const report = await kernelize(model, { kernels: [replace("SiluAndMul", "./bundle:SwiGLU")] }, {
      base: where(),
      resolver,
      inputs: [Tensor.empty([2, 4], { device: "meta" })],
    });
    assertEquals(report.swapped.map((s) => s.kernel), ["SwiGLU"]);
  });

  it("is refused where a byte differs or kernel.json lies, by its folder and by its file", async () => {
    const copy = join(folder, "changed");
    const file = (name: string) => join(copy, name);
    Deno.mkdirSync(copy);
    const code = Deno.readFileSync(join(folder, "bundle", "kernel.js"));
    const manifest = JSON.parse(Deno.readTextFileSync(join(folder, "bundle", "kernel.json")));
    code[code.length >> 1] ^= 1;
    Deno.writeFileSync(file("kernel.js"), code);
    Deno.writeTextFileSync(file("kernel.json"), JSON.stringify(manifest));
    for (const ref of ["./changed", "./changed/kernel.js"]) {
      assertEquals(await refused(() => at(`${ref}:SwiGLU`)), "KW-REF-DIGEST");
    }
    Deno.removeSync(file("kernel.js"));
    assertEquals(await refused(() => at("./changed:SwiGLU")), "KW-REF-FETCH");
    Deno.writeTextFileSync(file("kernel.json"), "{");
    assertEquals(await refused(() => at("./changed:SwiGLU")), "KW-REF-MANIFEST");
  });

  it("is told from sources, which are loaded as they are", async () => {
    const sources = await kernelResolver()(`${example}:SwiGLU`, undefined);
    assertEquals(kernelDefinition(sources).name, "SwiGLU");
    const plain = new LlamaMLP(4, 4);
    const config = { kernels: [replace("SiluAndMul", "./bundle:SwiGLU")] };
    const error = await assertRejects(() => kernelize(plain, config, { base: where() }), KernelwrightError);
    assert(error.message.includes("kernelResolver()"), error.message);
  });
});

/** A folder with a Llama of a few numbers. */
async function tinyModel(folder: string): Promise<string> {
  const { writeSafetensors } = await import("../../sdk/checkpoint/mod.ts");
  const { buildCausalLM, parseDecoderConfig } = await import("../../sdk/models/mod.ts");
  const config = {
    model_type: "llama",
    hidden_size: 8,
    intermediate_size: 16,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    vocab_size: 16,
    max_position_embeddings: 16,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: "silu",
    tie_word_embeddings: true,
  };
  const dir = join(folder, "model");
  Deno.mkdirSync(dir);
  const parameters = new Map(buildCausalLM(parseDecoderConfig(config)).stateDict());
  parameters.delete("lm_head.weight");
  const tensors = [...parameters].map(([key, p]): [string, Tensor] => [
    key,
    Tensor.from(new Float32Array(p.size).fill(0.1), { shape: p.shape, device: "reference" }),
  ]);
  Deno.writeTextFileSync(join(dir, "config.json"), JSON.stringify(config));
  Deno.writeFileSync(join(dir, "model.safetensors"), await writeSafetensors(new Map(tensors)));
  return dir;
}
