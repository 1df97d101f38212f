import { afterAll, beforeAll, beforeEach, describe, it } from "@std/testing/bdd";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { kernelize, KernelwrightError } from "@kernelwright/sdk";
import { replace } from "@kernelwright/sdk/config";
import { kernelDefinition } from "@kernelwright/sdk/inspect";
import { LayerNorm, ModuleList } from "@kernelwright/sdk/nn";
import { bundlePackage } from "../../sdk/cli/bundle.ts";
import { inspectReference, kernelResolver, readLock, type ResolverOptions } from "../../sdk/registry/mod.ts";
import { jsrPackage, npmPackage, tarball } from "./packages.ts";
import { serve, type TestServer } from "./server.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const NAME = "@kernelwright/example-swiglu";
const example = fromFileUrl(new URL("../../examples/swiglu", import.meta.url));
const utf8 = (text: string) => new Uint8Array(new TextEncoder().encode(text));
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

let server: TestServer;
let folder = "";
let options: ResolverOptions;
let code: Bytes;
let manifest: Record<string, unknown>;

/** The bundle as another version. */
const version = (version: string, at = "", more: object = {}): Record<string, Bytes> => ({
  [`${at}kernel.js`]: code,
  [`${at}kernel.json`]: utf8(JSON.stringify({ ...manifest, version, ...more })),
});
const refused = async (run: () => Promise<unknown>) =>
  (await assertRejects(run, KernelwrightError) as KernelwrightError).code;
const load = (ref: string, given: ResolverOptions = {}) =>
  kernelResolver({ ...options, ...given })(`${ref}:SwiGLU`, undefined);
const serveAll = (files: Map<string, Bytes>) => {
  for (const [path, bytes] of files) server.files.set(path, bytes);
};
const locked = async () => [...await readLock(options.lock!)].map(([key, e]) => `${key} ${e.version}`);
const anotherCache = (): ResolverOptions => ({ cache: Deno.makeTempDirSync({ dir: folder }) });

describe("a package", () => {
  beforeAll(async () => {
    server = serve();
    folder = Deno.makeTempDirSync({ prefix: "kernelwright-packages-" });
    await bundlePackage(example, join(folder, "bundle"));
    code = Deno.readFileSync(join(folder, "bundle", "kernel.js"));
    manifest = JSON.parse(Deno.readTextFileSync(join(folder, "bundle", "kernel.json")));
  });
  afterAll(async () => {
    await server.close();
    Deno.removeSync(folder, { recursive: true });
  });
  beforeEach(() => {
    server.files.clear();
    server.requests.length = 0;
    options = {
      ...anotherCache(),
      config: join(folder, "user.json"),
      lock: join(Deno.makeTempDirSync({ dir: folder }), "kernels.lock"),
      publishers: ["jsr:@kernelwright/", "npm:@kernelwright/example-swiglu/"],
      registries: { jsr: server.url, npm: server.url },
      limits: { timeout: 1000 },
    };
  });

  for (const registry of ["jsr", "npm"] as const) {
    const publish = async (versions: Record<string, Record<string, Bytes>>, latest = "1.0.0") =>
      serveAll(
        registry === "jsr"
          ? await jsrPackage(
            NAME,
            Object.fromEntries(Object.entries(versions).map(([v, files]) => [v, { files }])),
          )
          : await npmPackage(server.url, NAME, versions, latest),
      );
    const ref = (range: string) => `${registry}:${NAME}${range}`;

    describe(`of ${registry}`, () => {
      it("is resolved to a version, locked, and loaded again without the network", async () => {
        await publish({
          "1.0.0": version("1.0.0"),
          "1.2.0": version("1.2.0"),
          "1.3.0-beta.1": version("1.3.0-beta.1"),
          "2.0.0": version("2.0.0"),
        });
        assertEquals(await refused(() => load(ref("@^1"))), "KW-REF-LOCK");
        assertEquals(server.requests, []);
        assertEquals(kernelDefinition(await load(ref("@^1"), { update: true })).name, "SwiGLU");
        assertEquals(await locked(), [`${ref("@^1")} ${NAME}@1.2.0`]);
        server.requests.length = 0;
        await load(ref("@^1"));
        await load(ref("@^1"), { offline: true });
        assertEquals(server.requests, []);
        // A newer version is out: the lock's is fetched all the same.
        await publish({ "1.0.0": version("1.0.0"), "1.2.0": version("1.2.0"), "1.9.0": version("1.9.0") });
        await load(ref("@^1"), anotherCache());
        assert(!server.requests.some((r) => r.includes("1.9.0")), server.requests.join());
        await load(ref("@^1"), { update: true });
        assertEquals(await locked(), [`${ref("@^1")} ${NAME}@1.9.0`]);
      });

      it("is found in dist/ and in a folder that is named, and refused without a kernel.json", async () => {
        await publish({ "1.0.0": version("1.0.0", "dist/"), "2.0.0": version("2.0.0", "a/b/") });
        await load(ref("@1.0.0"), { update: true });
        await load(ref("@2/a/b"), { update: true });
        assertEquals(await refused(() => load(ref("@2"), { update: true })), "KW-REF-MANIFEST");
        assertEquals(await refused(() => load(ref("@2/../b"), { update: true })), "KW-REF-SYNTAX");
      });

      it("is refused when its publisher is not trusted, before anything is asked", async () => {
        for (const publishers of [[], [`${registry}:@kernelwrigh`], [`${registry}:@kernelwright/example/`]]) {
          assertEquals(
            await refused(() => load(ref("@1"), { publishers, update: true })),
            "KW-REF-UNTRUSTED",
          );
        }
        assertEquals(server.requests, []);
      });

      it("is refused when its bytes are not those that the registry or kernel.json have digests of", async () => {
        await publish({ "1.0.0": version("1.0.0") });
        const path = [...server.files.keys()].find((p) => /kernel\.js$|tgz$/.test(p))!;
        const changed = server.files.get(path)!.slice();
        changed[changed.length >> 1] ^= 1;
        server.files.set(path, changed);
        assertEquals(await refused(() => load(ref("@1"), { update: true })), "KW-REF-DIGEST");
        // The publisher's own digest does not fit, and the registry's does.
        await publish({ "1.0.0": { ...version("1.0.0"), "kernel.js": utf8("throw 'it ran';") } });
        assertEquals(await refused(() => load(ref("@1"), { update: true })), "KW-REF-DIGEST");
        assertEquals(await locked(), []);
      });

      it("is refused when the lock differs", async () => {
        await publish({ "1.0.0": version("1.0.0") });
        await load(ref("@1"), { update: true });
        await publish({ "1.0.0": version("1.0.0", "", { license: "other" }) });
        assertEquals(await refused(() => load(ref("@1"), anotherCache())), "KW-REF-LOCK");
        await publish({ "1.1.0": version("1.1.0") }, "1.1.0"); // 1.0.0 is gone
        assertEquals(await refused(() => load(ref("@1"), anotherCache())), "KW-REF-VERSION");
      });

      it("is refused when kernel.json is of another package or version, or does not fit the model", async () => {
        await publish({ "1.0.0": version("1.0.1") });
        assertEquals(await refused(() => load(ref("@1"), { update: true })), "KW-REF-MANIFEST");
        await publish({ "1.0.0": version("1.0.0", "", { name: "@kernelwright/other" }) });
        assertEquals(await refused(() => load(ref("@1"), { update: true })), "KW-REF-MANIFEST");
        await publish({ "1.0.0": version("1.0.0") });
        const resolver = kernelResolver({ ...options, update: true });
        const model = new ModuleList([new LayerNorm(4)]);
        const config = { kernels: [replace("LayerNorm", `${ref("@1")}:SwiGLU`)] };
        assertEquals(await refused(() => kernelize(model, config, { resolver })), "KW-REF-SIGNATURE");
        assert(!server.requests.some((r) => r.endsWith("kernel.js")), server.requests.join());
      });

      it("is refused when no version fits, naming those there are", async () => {
        await publish({ "1.0.0": version("1.0.0"), "1.1.0": version("1.1.0") });
        const error = await assertRejects(() => load(ref("@^3"), { update: true }), KernelwrightError);
        assertEquals(error.code, "KW-REF-VERSION");
        assertStringIncludes(error.message, "1.0.0, 1.1.0");
        assertEquals(await refused(() => load(ref("@1 - 2"), { update: true })), "KW-REF-SYNTAX");
        assertEquals(
          await refused(() => load(`${registry}:@kernelwright/none@1`, { trust: true, update: true })),
          "KW-REF-FETCH",
        );
      });

      it("is refused when nobody said where the registry is", async () => {
        const saved = new Map(
          ["JSR_URL", "npm_config_registry", "NPM_CONFIG_REGISTRY", "npm_config_userconfig"].map((
            n,
          ) => [n, Deno.env.get(n)]),
        );
        try {
          for (const name of saved.keys()) Deno.env.delete(name);
          const npmrc = join(folder, ".npmrc");
          Deno.env.set("npm_config_userconfig", npmrc);
          const plain = { registries: undefined, update: true };
          assertEquals(await refused(() => load(ref("@1"), plain)), "KW-REF-REGISTRY");
          await publish({ "1.0.0": version("1.0.0") });
          if (registry === "jsr") Deno.env.set("JSR_URL", server.url.slice(0, -1));
          else {Deno.writeTextFileSync(
              npmrc,
              `registry=not an address\n@kernelwright:registry = "${server.url}"\n`,
            );}
          await load(ref("@1"), plain);
        } finally {
          for (const [name, value] of saved) {
            value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
          }
        }
      });

      it("is shown without running it", async () => {
        await publish({ "1.0.0": { ...version("1.0.0"), "README.md": utf8("# hello") } });
        for (const given of [ref("@1"), `${ref("@1")}:SwiGLU`]) {
          const { manifest, files } = await inspectReference(given, { ...options, lock: undefined });
          assertEquals([manifest.version, [...files.keys()]], ["1.0.0", ["kernel.js"]]);
        }
      });
    });
  }

  it("of jsr whose imports were written out when it was published is what was bundled", async () => {
    const published = text(code).replaceAll(
      /"@kernelwright\/sdk(\/\w+)?"/g,
      (_, path = "") => `"jsr:@kernelwright/sdk@^0.1.0${path}"`,
    );
    assert(published !== text(code));
    const files = { ...version("1.0.0"), "kernel.js": utf8(published) };
    serveAll(await jsrPackage(NAME, { "1.0.0": { files } }));
    await load(`jsr:${NAME}@1`, { update: true });
    await load(`jsr:${NAME}@1`, { offline: true });
  });

  it("of jsr that was taken back is taken only where it is named", async () => {
    serveAll(
      await jsrPackage(NAME, {
        "1.0.0": { files: version("1.0.0") },
        "1.1.0": { files: version("1.1.0"), yanked: true },
      }),
    );
    await load(`jsr:${NAME}@1`, { update: true });
    await load(`jsr:${NAME}@1.1.0`, { update: true });
    assertEquals(await locked(), [`jsr:${NAME}@1 ${NAME}@1.0.0`, `jsr:${NAME}@1.1.0 ${NAME}@1.1.0`]);
  });

  it("of npm is taken by a tag, and the newest is what npm calls so", async () => {
    serveAll(
      await npmPackage(server.url, NAME, { "1.0.0": version("1.0.0"), "2.0.0": version("2.0.0") }, "1.0.0"),
    );
    await load(`npm:${NAME}`, { update: true });
    await load(`npm:${NAME}@latest`, { update: true });
    assertEquals(await locked(), [`npm:${NAME} ${NAME}@1.0.0`, `npm:${NAME}@latest ${NAME}@1.0.0`]);
    assertEquals(await refused(() => load(`npm:${NAME}@next`, { update: true })), "KW-REF-VERSION");
  });

  describe("of npm with an archive", () => {
    const publish = async (archive: Bytes, dist: object = {}) => {
      const served = await npmPackage(server.url, NAME, { "1.0.0": version("1.0.0") }, "1.0.0");
      const sha512 = btoa(
        String.fromCharCode(...new Uint8Array(await crypto.subtle.digest("SHA-512", archive))),
      );
      serveAll(served);
      const tgz = [...served.keys()].find((p) => p.endsWith(".tgz"))!;
      server.files.set(tgz, archive);
      server.files.set(
        NAME.replace("/", "%2f"),
        utf8(JSON.stringify({
          versions: {
            "1.0.0": { dist: { tarball: `${server.url}${tgz}`, integrity: `sha512-${sha512}`, ...dist } },
          },
        })),
      );
      return await refused(() =>
        load(`npm:${NAME}@1`, { update: true, limits: { timeout: 5000, maxBytes: 1e6 } })
      );
    };
    it("that unpacks to far more than it is gives up at the bound", async () => {
      const bomb = await tarball({ "zeros": new Uint8Array(50e6) });
      assert(bomb.length < 1e6);
      assertEquals(await publish(bomb), "KW-REF-LIMIT");
    });
    it("that is none is refused", async () => {
      assertEquals(await publish(utf8("no archive")), "KW-REF-FETCH");
      const cut = await tarball({}, entryThatPromises(1e6));
      assertEquals(await publish(cut), "KW-REF-FETCH");
    });
    it("without a digest, or somewhere else without https, is refused", async () => {
      const good = await tarball(version("1.0.0"));
      assertEquals(await publish(good, { integrity: undefined }), "KW-REF-DIGEST");
      assertEquals(await publish(good, { integrity: "sha1-AAAA" }), "KW-REF-DIGEST");
      assertEquals(await publish(good, { tarball: "http://192.0.2.1/a.tgz" }), "KW-REF-ESCAPES");
      assertEquals(await publish(good, { tarball: "file:///etc/passwd" }), "KW-REF-ESCAPES");
    });
    it("with a long name is read", async () => {
      const long = `${"long/".repeat(30)}name.txt`;
      serveAll(
        await npmPackage(server.url, NAME, { "1.0.0": { [long]: utf8("x"), ...version("1.0.0") } }, "1.0.0"),
      );
      await load(`npm:${NAME}@1`, { update: true });
    });
  });

  it("whose name or version is no such thing is refused", async () => {
    for (
      const bad of [
        "npm:../evil",
        "npm:@a/../b@1",
        "jsr:unscoped@1",
        "npm:@a",
        "npm:UPPER@1",
        "npm:a@1@2",
        "npm:a@1/.b",
      ]
    ) {
      assertEquals(await refused(() => load(bad, { trust: true, update: true })), "KW-REF-SYNTAX", bad);
    }
    assertEquals(server.requests, []);
  });
});

function entryThatPromises(bytes: number): Uint8Array {
  const header = new Uint8Array(512);
  header.set(utf8("package/kernel.json"), 0);
  header.set(utf8(bytes.toString(8).padStart(11, "0")), 124);
  header.set(utf8("0"), 156);
  return header;
}
