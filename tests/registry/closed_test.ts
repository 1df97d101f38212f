/** A bundle is closed: what no digest covers is found when it is built, shown by `info`, and never run. */
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { KernelwrightError } from "@kernelwright/sdk";
import { kernelDefinition } from "@kernelwright/sdk/inspect";
import config from "../../deno.json" with { type: "json" };
import { bundlePackage } from "../../sdk/cli/bundle.ts";
import { inspectReference, kernelResolver, reachesOutside, sha256 } from "../../sdk/registry/mod.ts";
import { serve, type TestServer } from "./server.ts";

const example = fromFileUrl(new URL("../../examples/swiglu", import.meta.url));
const main = fromFileUrl(new URL("../../sdk/cli/main.ts", import.meta.url));
const utf8 = (text: string) => new Uint8Array(new TextEncoder().encode(text));

/** Code, and a word of what is said of it. */
const OPEN: readonly (readonly [code: string, words: string])[] = [
  [`import "https://a.example/x.js";`, "https://a.example/x.js"],
  [`import {} from 'npm:left-pad';`, "npm:left-pad"],
  [`import "node:fs";`, "node:fs"],
  [`import "jsr:@kernelwright/sdk";`, "jsr:@kernelwright/sdk"],
  [`import "@kernelwright/sdk/cli";`, "@kernelwright/sdk/cli"],
  [`import "@kernelwright/sdk/internal";`, "@kernelwright/sdk/internal"],
  [`import "@kernelwright/sdk-other";`, "@kernelwright/sdk-other"],
  [`import "@kernelwright/sdk/../../x.js";`, "@kernelwright/sdk/../"],
  [`import "./other.js";`, "./other.js"],
  [`import "../kernel.js";`, "../kernel.js"],
  [`import "./kernel.js?x";`, "./kernel.js?x"],
  [`import "/etc/x.js";`, "/etc/x.js"],
  [`import "file:///etc/x.js";`, "file:///etc/x.js"],
  [`import "data:text/javascript,1";`, "data:text/javascript"],
  [`import data from "https://a.example/x.json" with { type: "json" };`, "https://a.example/x.json"],
  [`import data from "./none.txt" with { type: "text" };`, "./none.txt"],
  [`import "./kernel.wasm";`, "./kernel.wasm"],
  [`import "./kernel.wgsl";`, "./kernel.wgsl"],
  [`export * from "https://a.example/x.js";`, "https://a.example/x.js"],
  [`export { x } from "\\x68ttps://a.example/x.js";`, "https://a.example/x.js"],
  [`await import("https://a.example/x.js");`, "https://a.example/x.js"],
  ["const f = () => import(/* here */`https://a.example/x.js`);", "https://a.example/x.js"],
  [`await import("https://a.exa" + "mple/x.js");`, "computes"],
  ["const at = 1; await import(`./${at}.js`);", "computes"],
  [`await import("./kernel.wgsl", globalThis.x);`, "options"],
  [`await import(URL.createObjectURL(new Blob(["1"])));`, "computes"],
  [`import.meta.resolve("x");`, "import.meta.resolve"],
  [`const { resolve } = import.meta;`, "import.meta"],
  [`import.meta["res" + "olve"]("x");`, "import.meta"],
  [`new Worker("data:text/javascript,1", { type: "module" });`, "Worker"],
  [`const W = globalThis.Worker;`, "Worker"],
  [`const W = globalThis["Worker"];`, "Worker"],
  [`const W = globalThis["Wor" + "ker"];`, "computes"],
  [`const { Worker: W } = globalThis;`, "global object"],
  [`self.importScripts("x");`, "importScripts"],
  [`\\u0065val("1");`, "eval"],
  [`(0, eval)("1");`, "eval"],
  [`new Function("return 1")();`, "Function"],
  [`(() => {}).constructor("return 1")();`, "constructor"],
  [`new ((() => {}).constructor)("return 1")();`, "constructor"],
  [`const F = (async () => {}).constructor; F("1");`, "constructor"],
  [`const { constructor: F } = () => {};`, "constructor"],
  [`const { "constructor": F } = () => {};`, "constructor"],
  [`const { dlopen: open } = Deno;`, "dlopen"],
  [`Deno["dl" + "open"]("x");`, "computes"],
  [`globalThis.globalThis.eval("1");`, "eval"],
  [`globalThis.self["eval"]("1");`, "eval"],
  [`globalThis?.eval?.("1");`, "eval"],
  [`navigator.serviceWorker.register("x");`, "serviceWorker"],
  ["setInterval(`1${0}`, 0);", "timer"],
  [`globalThis.setTimeout("a" + "b", 0);`, "timer"],
  [`setTimeout("1", 0);`, "timer"],
  [`require("fs");`, "require"],
  [`process.getBuiltinModule("fs");`, "getBuiltinModule"],
  [`Deno.dlopen("x", {});`, "dlopen"],
  [`new Deno.Command("deno");`, "Deno.Command"],
  [`export const = 3;`, "cannot be read"],
];

const CLOSED = [
  `import { kernel } from "@kernelwright/sdk"; import "@kernelwright/sdk/nn";`,
  `export * from "./own.js"; const late = () => import("./own.js");`,
  `import text from "./kernel.wgsl" with { type: "text" };`,
  `const shown = 'import "https://a.example/x.js"; eval("1")'; // import("https://a.example")`,
  "const wgsl = `fn f() { import(x); } ${1}`;",
  `export class K { eval() { return this.require; } static Function = 1; } export const o = { Worker: 1 };`,
  `const is = (x) => x instanceof Function && typeof globalThis !== "undefined" && globalThis.Deno;`,
  `setTimeout(() => {}, 0); const here = import.meta.url; const window = 3; const self = window + 1;`,
  `class A { again() { return new this.constructor(1); } }`,
  `const is = (a, b) => a.constructor === b.constructor && a.constructor.name; const o = { constructor: 1 };`,
];

/** A bundle with this code before its own, whose digests are right. */
async function bundleWith(code: string, from: string, more: Record<string, string> = {}) {
  const kernel = utf8(`${code}\n${Deno.readTextFileSync(join(from, "kernel.js"))}`);
  const manifest = JSON.parse(Deno.readTextFileSync(join(from, "kernel.json")));
  const files = new Map<string, Uint8Array<ArrayBuffer>>([["kernel.js", kernel]]);
  for (const [name, text] of Object.entries(more)) files.set(name, utf8(text));
  manifest.files = {};
  for (const [name, b] of files) manifest.files[name] = { bytes: b.length, sha256: await sha256(b) };
  files.set("kernel.json", utf8(JSON.stringify(manifest)));
  return files;
}

describe("a bundle's code", () => {
  const names = { "own.js": utf8(""), "kernel.wgsl": utf8(""), "kernel.wasm": utf8("") };
  const reaches = (code: string) =>
    reachesOutside(new Map(Object.entries({ "kernel.js": utf8(code), ...names })), "kernel.js");

  it("that loads what is not its own is told, in every spelling", () => {
    for (const [code, words] of OPEN) {
      const found = reaches(code);
      assert(found.length > 0, `not found: ${code}`);
      assertStringIncludes(found[0].what, words, code);
      assertEquals([found[0].file, found[0].line], ["kernel.js", 1]);
    }
  });

  it("may import every entry of the SDK but its insides and its program", () => {
    for (const name of Object.keys(config.exports)) {
      const refused = ["./internal", "./cli"].includes(name);
      const found = reaches(`import ${JSON.stringify(`@kernelwright/sdk${name.slice(1)}`)};`);
      assertEquals(found.length, refused ? 1 : 0, name);
    }
  });

  it("that only looks so is taken", () => {
    for (const code of CLOSED) assertEquals(reaches(code), [], code);
  });

  it("that is no UTF-8 is told: it could be read otherwise when it runs", () => {
    const odd = new Uint8Array([0xff, 0xfe, 0x31, 0]);
    const [reach, ...more] = reachesOutside(new Map([["kernel.js", odd]]), "kernel.js");
    assertEquals([reach.line, more], [1, []]);
    assertStringIncludes(reach.what, "not valid");
  });

  it("is told by its line, also where it cannot be read", () => {
    const lines = (code: string) => reaches(code).map((r) => r.line);
    assertEquals(lines(`1;\neval("1");\n\nimport "node:fs";`), [2, 4]);
    assertEquals(lines(`1;\n2;\nconst = 3;`), [3]);
    assertStringIncludes(reaches("const = 3;")[0].what, "Unexpected token");
    assertEquals(
      reaches("export { x as eval } from './own.js'; import { require as r } from './own.js';"),
      [],
    );
    assertEquals(reaches("label: for (;;) break label; import.meta.main; function F() { new.target; }"), []);
  });

  it("is looked at in all of its files", () => {
    const files = new Map([["kernel.js", utf8("")], ["other.mjs", utf8(`\nimport "https://a.example/";`)]]);
    assertEquals(reachesOutside(files, "kernel.js").map((r) => [r.file, r.line]), [["other.mjs", 2]]);
  });
});

describe("a bundle that is not closed", () => {
  let server: TestServer;
  let folder = "";
  const code = async (run: () => Promise<unknown>) =>
    ((await assertRejects(run, KernelwrightError)) as KernelwrightError).code;

  beforeAll(async () => {
    server = serve();
    folder = Deno.makeTempDirSync({ prefix: "kernelwright-closed-" });
    await bundlePackage(example, join(folder, "good"));
  });
  afterAll(async () => {
    await server.close();
    Deno.removeSync(folder, { recursive: true });
  });

  it("is not built", async () => {
    const dir = join(folder, "package");
    Deno.mkdirSync(dir);
    for (const f of ["deno.json", "kernel.ts", "swiglu.wgsl"]) {
      Deno.copyFileSync(join(example, f), join(dir, f));
    }
    for (
      const line of [
        `const at: string = "https://a.example/x.js"; export const late = () => import(at);`,
        `export const w = () => new Worker("data:text/javascript,1");`,
        `export const w = () => import("data:text/javascript,1");`,
        `export const f = (0, eval)("1");`,
      ]
    ) {
      Deno.writeTextFileSync(join(dir, "mod.ts"), `export * from "./kernel.ts";\n${line}`);
      assertEquals(await code(() => bundlePackage(dir)), "KW-BUNDLE-DEPENDENCY", line);
      assert(![...Deno.readDirSync(dir)].some((e) => e.name === "dist"), "something was written");
    }
  });

  it("is neither locked nor run, from an address and from a folder, and info tells why", async () => {
    server.files.set("evil.js", utf8(`globalThis.ran = true; throw new Error("it ran");`));
    const evil = `${server.url}evil.js`;
    const options = {
      trust: true,
      cache: join(folder, "cache"),
      config: join(folder, "user.json"),
      lock: join(folder, "kernels.lock"),
      update: true,
    };
    for (const line of [`import ${JSON.stringify(evil)};`, `await import(${JSON.stringify(evil)});`]) {
      const files = await bundleWith(line, join(folder, "good"));
      Deno.mkdirSync(join(folder, "open"), { recursive: true });
      for (const [name, bytes] of files) {
        server.files.set(`open/${name}`, bytes);
        Deno.writeFileSync(join(folder, "open", name), bytes);
      }
      server.requests.length = 0;
      const ref = `${server.url}open/kernel.js:SwiGLU`;
      assertEquals(await code(() => kernelResolver(options)(ref, undefined)), "KW-REF-IMPORT");
      assertEquals(
        await code(() => kernelResolver(options)(`${folder}/open:SwiGLU`, undefined)),
        "KW-REF-IMPORT",
      );
      assertEquals((await inspectReference(ref, options)).reaches.length, 1);
      assert(!server.requests.includes("evil.js"), "it was fetched");
      assert(![...Deno.readDirSync(folder)].some((e) => e.name === "kernels.lock"), "it was locked");
    }
    const cli = async (...args: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-prompt", "--allow-read", "--no-check", main, ...args, join(folder, "open")],
      }).output();
      return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
    };
    assertStringIncludes((await cli("info")).stdout, `kernel.js:1 imports ${JSON.stringify(evil)}`);
    const json = await cli("info", "--json");
    assertEquals(JSON.parse(json.stdout).format, 1);
    assertStringIncludes(json.stderr, evil);
    assertStringIncludes((await cli("verify")).stderr, "KW-REF-IMPORT");
  });

  it("is told from one of several files, which are run as they were checked", async () => {
    const several = join(folder, "several");
    Deno.mkdirSync(several);
    const write = async (more: Record<string, string>) => {
      const head = `import { two } from "./two.js"; import note from './note.txt' with { type: "text" };
        export const late = () => import("./three.js"); export const sum = two + note.length;`;
      for (const [name, bytes] of await bundleWith(head, join(folder, "good"), more)) {
        Deno.writeFileSync(join(several, name), bytes);
      }
    };
    const load = () => kernelResolver()(`${several}:SwiGLU`, undefined);
    const rest = { "note.txt": "abc", "three.js": `export default 3;` };
    await write({ ...rest, "two.js": `import three from "./three.js"; export const two = three - 1;` });
    const first = await load();
    assertEquals(kernelDefinition(first).name, "SwiGLU");
    assert(await load() === first, "the same bytes are the same class");
    await write({ ...rest, "two.js": `import "./kernel.js"; export const two = 2;` });
    assertEquals(await code(load), "KW-REF-IMPORT");
    await write({ ...rest, "two.js": `throw new Error("not today");` });
    assertEquals(await code(load), "KW-REF-EXPORT");
  });
});
