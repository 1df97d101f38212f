/** A local reference is a path: the folder of exactly that name, or an error. */
import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "@kernelwright/sdk";
import { kernelDefinition } from "../../sdk/authoring/mod.ts";
import { fileUrlOfPath } from "../../sdk/host/files.ts";
import { besideAddress, type KernelConfig, resolveLocal } from "../../sdk/kernelize/mod.ts";
import { kernelsJson } from "../../sdk/models/save.ts";
import { kernelResolver } from "../../sdk/registry/mod.ts";

const SDK = new URL("../../mod.ts", import.meta.url).href;
const NN = new URL("../../sdk/nn/mod.ts", import.meta.url).href;

/** A kernel whose version is its folder's name. */
const code = (name: string) => `
import { kernel, replaces } from ${JSON.stringify(SDK)};
import { RMSNorm } from ${JSON.stringify(NN)};
@kernel({ site: replaces(RMSNorm), version: ${JSON.stringify(name)} })
export class Kernel { forward(x) { return x; } }
`;

const NAMES = [
  "a",
  "a#b",
  "a?b",
  "a?b#c",
  "a%20b",
  "a b",
  "a%",
  "a%zz",
  "%",
  "%2e%2e",
  "a\\b",
  "a:b",
  "~",
  "ärger",
  "日本",
  "a;b,c&d=e+f@g'h\"i",
  "[a]{b}|^`",
  "#",
  "?",
  "k.js",
  "a//b".replace("//", "\u2215"),
];

async function inFolder(names: readonly string[], fn: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "a #1 100% " }));
  try {
    for (const name of names) {
      await Deno.mkdir(join(folder, name));
      await Deno.writeTextFile(join(folder, name, "mod.ts"), code(name));
    }
    await fn(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const RESOLVERS = { resolveLocal, kernelResolver: kernelResolver() };

for (const [name, resolver] of Object.entries(RESOLVERS)) {
  describe(`a local reference, resolved by ${name},`, () => {
    const versionOf = async (ref: string, base?: URL) => kernelDefinition(await resolver(ref, base)).version;

    it("leads to the folder of exactly that name", () =>
      inFolder(NAMES, async (folder) => {
        const base = fileUrlOfPath(join(folder, "kernels.json"));
        for (const n of NAMES) {
          assertEquals(await versionOf(`./${n}:Kernel`, base), n, n);
          assertEquals(await versionOf(`${folder}/${n}:Kernel`, base), n, `absolute ${n}`);
          assertEquals(await versionOf(`./${n}/mod.ts:Kernel`, base), n, `file in ${n}`);
          assertEquals(
            await versionOf(`./x/.././/${n}/:Kernel`, fileUrlOfPath(`${folder}/`)),
            n,
            `around ${n}`,
          );
          const href = fileUrlOfPath(join(folder, n)).href;
          assertEquals(await versionOf(`${href}:Kernel`, base), n, href);
        }
      }));

    it("never leads to another one", () =>
      inFolder(["a", "b c", "dir"], async (folder) => {
        const base = fileUrlOfPath(join(folder, "kernels.json"));
        for (
          const n of [
            "a#b",
            "a?b",
            "a?",
            "a#",
            "b%20c",
            "%61",
            "a%",
            "dir\\..\\a",
            "a/%2e%2e/a",
            "~/a",
            "a\0",
          ]
        ) {
          const error = await assertRejects(
            () => versionOf(`./${n}:Kernel`, base),
            KernelwrightError,
            undefined,
            n,
          );
          assertEquals(error.code, "KW-REF-MISSING", n);
        }
        for (
          const ref of [
            "a:b:Kernel",
            "ab:Kernel:Kernel",
            "ab:a:Kernel",
            "file:///%zz:Kernel",
            "file://host/a:Kernel",
          ]
        ) {
          const error = await assertRejects(() => versionOf(ref, base), KernelwrightError);
          assertEquals(error.code, ref.startsWith("a:b") ? "KW-REF-MISSING" : "KW-REF-SYNTAX", ref);
        }
      }));
  });
}

describe("a path in a config from an address", () => {
  it("stays on that host, and keeps its name", () => {
    const base = new URL("https://models.example/llama/kernels.json?version=2");
    for (
      const [path, href] of [
        ["./a#b", "https://models.example/llama/a%23b"],
        ["./a?b", "https://models.example/llama/a%3Fb"],
        ["a%20b", "https://models.example/llama/a%2520b"],
        ["../a b", "https://models.example/a%20b"],
        ["//evil.example/a", "https://models.example/evil.example/a"],
        ["\\\\evil.example\\a", "https://models.example/llama/%5C%5Cevil.example%5Ca"],
        ["/a", "https://models.example/a"],
        ["x:y", "https://models.example/llama/x:y"],
      ]
    ) assertEquals(besideAddress(path, base).href, href);
  });
});

describe("kernels.json as it is saved", () => {
  it("names every local reference by where it is, in all forms of a choice", () =>
    inFolder(NAMES, async (folder) => {
      const base = fileUrlOfPath(join(folder, "kernels.json"));
      for (const n of NAMES) {
        const ref = `./${n}:Kernel`;
        const config: KernelConfig = {
          kernels: [
            { replace: "RMSNorm", at: "a.b", with: ref },
            { replace: "RMSNorm", with: [{ kernel: ref, mode: "training" }] },
            { replace: "RMSNorm", with: { webgpu: { inference: ref } } },
            {
              fuse: ["A", "B"],
              with: { webgpu: [{ kernel: `${n}/mod.ts:Kernel`.replace(/^a:b/, "./a:b") }] },
            },
            { replace: "RMSNorm", with: "jsr:@a/b@1:Kernel" },
            { disable: "RMSNorm" },
          ],
        };
        const saved = JSON.parse(kernelsJson(config, base));
        const [a, b, c, d, e, f] = saved.kernels;
        assertEquals([a.at, e.with, f.disable], ["a.b", "jsr:@a/b@1:Kernel", "RMSNorm"]);
        for (const s of [a.with, b.with[0].kernel, c.with.webgpu.inference, d.with.webgpu[0].kernel]) {
          assertEquals(kernelDefinition(await resolveLocal(s, new URL("file:///elsewhere/"))).version, n, s);
        }
      }
    }));
});
