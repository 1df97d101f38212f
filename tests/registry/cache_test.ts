/** Several programs with one cache, and what was put where the cache should be. */
import { afterAll, beforeAll, beforeEach, describe, it } from "@std/testing/bdd";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { KernelwrightError } from "@kernelwright/sdk";
import { kernelDefinition } from "@kernelwright/sdk/inspect";
import { bundlePackage } from "../../sdk/cli/bundle.ts";
import {
  defaultCacheFolder,
  FileCache,
  inspectReference,
  kernelResolver,
  readLock,
  sha256,
  writeLock,
} from "../../sdk/registry/mod.ts";
import { userSettings } from "../../sdk/registry/mod.ts";
import { serve, type TestServer } from "./server.ts";

const example = fromFileUrl(new URL("../../examples/swiglu", import.meta.url));
const registry = new URL("../../sdk/registry/mod.ts", import.meta.url).href;
const config = fromFileUrl(new URL("../../deno.json", import.meta.url));
const utf8 = (text: string) => new Uint8Array(new TextEncoder().encode(text));
const code = async (run: () => Promise<unknown>) =>
  ((await assertRejects(run, KernelwrightError)) as KernelwrightError).code;

let server: TestServer;
let folder = "";
let cache = "";

/** Puts a bundle of about some bytes on the server. */
async function publish(name: string, bytes: number): Promise<string> {
  const padding = `// ${"x".repeat(bytes)}\n`;
  const kernel = utf8(padding + Deno.readTextFileSync(join(folder, "good", "kernel.js")));
  const manifest = JSON.parse(Deno.readTextFileSync(join(folder, "good", "kernel.json")));
  manifest.files = { "kernel.js": { bytes: kernel.length, sha256: await sha256(kernel) } };
  server.files.set(`${name}/kernel.js`, kernel);
  server.files.set(`${name}/kernel.json`, utf8(JSON.stringify(manifest)));
  return `${server.url}${name}/kernel.js:SwiGLU`;
}

describe("the cache", () => {
  beforeAll(async () => {
    server = serve();
    folder = Deno.makeTempDirSync({ prefix: "kernelwright-cache-" });
    await bundlePackage(example, join(folder, "good"));
  });
  afterAll(async () => {
    await server.close();
    Deno.removeSync(folder, { recursive: true });
  });
  beforeEach(() => {
    cache = Deno.makeTempDirSync({ dir: folder });
  });
  const load = (ref: string, given: object = {}) =>
    kernelResolver({ cache, trust: true, ...given })(ref, undefined);

  it("serves several programs at once: each runs whole files, or the error of none", async () => {
    const refs: string[] = [];
    for (let i = 0; i < 6; i++) refs.push(await publish(`many${i}`, 500_000 + i));
    const program = `
      const { kernelResolver } = await import(${JSON.stringify(registry)});
      const resolver = kernelResolver({ cache: ${JSON.stringify(cache)}, trust: true });
      const all = await Promise.allSettled(${JSON.stringify(refs)}.map((ref) => resolver(ref, undefined)));
      console.log(all.map((r) => r.status === "fulfilled" ? r.value.name : String(r.reason)).join());`;
    const runs = Array.from({ length: 4 }, async () => {
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["eval", "--config", config, "--no-check", program],
      }).output();
      return new TextDecoder().decode(stdout).trim() || new TextDecoder().decode(stderr);
    });
    for (const said of await Promise.all(runs)) assertEquals(said, refs.map(() => "SwiGLU").join());
    const names = [...Deno.readDirSync(cache)].map((e) => e.name);
    assert(!names.some((n) => n.startsWith(".")), `drafts are left: ${names}`);
    for (const name of names.filter((n) => /^[0-9a-f]{64}$/.test(n))) {
      assertEquals(await sha256(Deno.readFileSync(join(cache, name))), name);
    }
  });

  it("runs the bytes that were checked, whatever lies in its folder", async () => {
    const ref = await publish("checked", 10);
    await load(ref);
    const { entry } = await inspectReference(ref, { cache });
    // Where earlier versions ran a bundle from, and a half-written file.
    Deno.mkdirSync(join(cache, `${entry.manifest}.d`));
    Deno.writeTextFileSync(join(cache, `${entry.manifest}.d`, "kernel.js"), "throw new Error('it ran')");
    Deno.writeTextFileSync(join(cache, entry.files["kernel.js"]), "export const half = ");
    const program = `
      const { kernelResolver } = await import(${JSON.stringify(registry)});
      const resolver = kernelResolver({ cache: ${JSON.stringify(cache)}, trust: true });
      console.log((await resolver(${JSON.stringify(ref)}, undefined)).name);`;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--config", config, "--no-check", program],
    }).output();
    assertEquals(new TextDecoder().decode(stdout).trim(), "SwiGLU", new TextDecoder().decode(stderr));
    assertEquals(
      await sha256(Deno.readFileSync(join(cache, entry.files["kernel.js"]))),
      entry.files["kernel.js"],
    );
  });

  it("writes through no link, and reads none", async () => {
    const bytes = utf8("some bytes");
    const digest = await sha256(bytes);
    const victim = join(folder, "victim");
    Deno.writeTextFileSync(victim, "mine");
    Deno.symlinkSync(victim, join(cache, digest));
    const files = new FileCache(cache);
    assertEquals(await files.get(digest), undefined);
    await files.put(bytes);
    assertEquals(Deno.readTextFileSync(victim), "mine");
    assert(Deno.lstatSync(join(cache, digest)).isFile);
    assertEquals(await files.get(digest), bytes);
    if (Deno.build.os === "linux") {
      const endless = await sha256(utf8("endless"));
      Deno.symlinkSync("/dev/zero", join(cache, endless));
      assertEquals(await files.get(endless), undefined);
    }
  });

  it("that is a file, or holds a folder of a digest's name, is told", async () => {
    const ref = await publish("file", 20);
    const file = join(folder, "a-file");
    Deno.writeTextFileSync(file, "");
    for (const bad of [file, join(file, "below")]) {
      assertEquals(await code(() => load(ref, { cache: bad })), "KW-REF-CACHE");
    }
    const { entry } = await inspectReference(ref, { cache });
    Deno.removeSync(join(cache, entry.manifest));
    Deno.mkdirSync(join(cache, entry.manifest, "x"), { recursive: true });
    assertEquals(await code(() => load(ref)), "KW-REF-CACHE");
  });

  it("of a bundle with far too many files, or bytes, is never filled", async () => {
    await publish("large", 30);
    const manifest = JSON.parse(new TextDecoder().decode(server.files.get("large/kernel.json")!));
    const one = Object.values(manifest.files)[0] as object;
    for (
      const more of [
        Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, one])),
        { big: { ...one, bytes: 1e12 } },
      ]
    ) {
      const files = { ...manifest.files, ...more };
      server.files.set("large/kernel.json", utf8(JSON.stringify({ ...manifest, files })));
      server.requests.length = 0;
      assertEquals(await code(() => load(`${server.url}large/kernel.js:SwiGLU`)), "KW-REF-LIMIT");
      assertEquals(server.requests, ["large/kernel.json"]);
    }
  });

  it("lies where the environment says", () => {
    const saved = Deno.env.get("KERNELWRIGHT_CACHE");
    try {
      Deno.env.set("KERNELWRIGHT_CACHE", join(folder, "named"));
      assertEquals(defaultCacheFolder(), join(folder, "named"));
      Deno.env.delete("KERNELWRIGHT_CACHE");
      assertStringIncludes(defaultCacheFolder(), "kernelwright/kernels");
    } finally {
      if (saved !== undefined) Deno.env.set("KERNELWRIGHT_CACHE", saved);
    }
  });

  it("is not needed where it cannot be written and has all", async () => {
    const ref = await publish("kept", 40);
    const lock = join(cache, "kernels.lock");
    await load(ref, { lock, update: true, config: join(cache, "user.json") });
    assertEquals(kernelDefinition(await load(ref, { lock, offline: true })).name, "SwiGLU");
  });
});

describe("a lock and a configuration", () => {
  let dir = "";
  beforeAll(() => {
    dir = Deno.makeTempDirSync({ prefix: "kernelwright-lock-" });
  });
  afterAll(() => Deno.removeSync(dir, { recursive: true }));

  it("that are folders are told", async () => {
    assertEquals(await code(() => readLock(dir)), "KW-REF-LOCK");
    assertEquals(await code(() => writeLock(dir, new Map())), "KW-REF-LOCK");
    assertEquals(await code(() => userSettings(dir)), "KW-REF-UNTRUSTED");
    assertEquals([...Deno.readDirSync(dir)], []);
    assert(
      ![...Deno.readDirSync(join(dir, ".."))].some((e) => e.name.startsWith(`${dir.split("/").at(-1)}.`)),
    );
  });

  it("in a folder that is not there, or is a file, are told when they are written, and empty when read", async () => {
    const file = join(dir, "file");
    Deno.writeTextFileSync(file, "");
    for (const path of [join(dir, "none", "kernels.lock"), join(file, "kernels.lock")]) {
      assertEquals((await readLock(path)).size, 0);
      assertEquals(await code(() => writeLock(path, new Map())), "KW-REF-LOCK");
      assertEquals(await userSettings(path), {});
    }
  });

  it("that may not be read or written, and an environment that may not be asked, are told as ours", async () => {
    const registries = new URL("../../sdk/registry/registries.ts", import.meta.url).href;
    const program = `
      const { readLock, userSettings, writeLock, kernelResolver } = await import(${JSON.stringify(registry)});
      const { registryOf } = await import(${JSON.stringify(registries)});
      const said = (run) => run().then((v) => JSON.stringify(v), (e) => e.code ?? String(e));
      console.log(JSON.stringify([
        await said(() => readLock("/etc/kernels.lock")),
        await said(() => writeLock("/etc/kernels.lock", new Map())),
        await said(() => userSettings("/etc/kernelwright.json")),
        await said(() => userSettings()),
        await said(() => registryOf({ registry: "npm", href: "npm:x@1" })),
        await said(() => registryOf({ registry: "jsr", href: "jsr:@a/x@1", scope: "@a" })),
        await said(() => kernelResolver({ trust: true })("npm:x@1:X", undefined)),
        await said(() => kernelResolver({ trust: true })("https://192.0.2.1/kernel.js:X", undefined)),
        await said(() => kernelResolver()("./nowhere:X", undefined)),
      ]));`;
    const entry = join(dir, "denied.ts");
    Deno.writeTextFileSync(entry, program);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-check", "--config", config, entry],
    }).output();
    const said = new TextDecoder().decode(stdout);
    assertStringIncludes(said, "KW-", new TextDecoder().decode(stderr));
    assertEquals(JSON.parse(said).map((c: string) => c.slice(0, 16)), [
      "KW-REF-LOCK",
      "KW-REF-LOCK",
      "KW-REF-UNTRUSTED",
      "{}",
      "KW-REF-REGISTRY",
      "KW-REF-REGISTRY",
      "KW-REF-REGISTRY",
      "KW-REF-FETCH",
      "KW-REF-MISSING",
    ]);
  });
});
