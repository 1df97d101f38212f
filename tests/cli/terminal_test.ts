/** What comes from outside is shown, and does nothing to the terminal. */
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { KernelwrightError, Tensor } from "@kernelwright/sdk";
import { renderDiagnostic } from "../../sdk/errors.ts";
import { visible, visibleLine } from "../../sdk/visible.ts";
import { bundlePackage } from "../../sdk/cli/bundle.ts";
import { main } from "../../sdk/cli/main.ts";
import { guarded } from "../../sdk/cli/terminal.ts";
import { writeSafetensors } from "../../sdk/checkpoint/mod.ts";

const example = fromFileUrl(new URL("../../examples/swiglu", import.meta.url));

/** A title, a colour, C1's CSI, an override, an isolate, a return, a bell, a forged line. */
const EVIL = "\x1b]0;owned\x07\x1b[31m\u009b2J\u202eevil\u2066\rok\x7f\u0085\u200f";
// deno-lint-ignore no-control-regex
const ACTS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

let folder = "";

/** What a command prints. */
async function said(...args: string[]): Promise<{ out: string; err: string; code: number }> {
  const own = { log: console.log, error: console.error, warn: console.warn };
  const lines = { log: "", error: "", warn: "" };
  for (const name of ["log", "error", "warn"] as const) {
    console[name] = (...given: unknown[]) => lines[name] += `${given.join(" ")}\n`;
  }
  try {
    const code = await main(args);
    return { out: lines.log, err: lines.error + lines.warn, code };
  } finally {
    Object.assign(console, own);
  }
}

describe("visible()", () => {
  it("escapes what acts, as JSON does, and nothing else", () => {
    const shown = visible(EVIL);
    assert(!ACTS.test(shown), shown);
    assertEquals(JSON.parse(`"${shown}"`), EVIL);
    const plain = "naïve 日本 👩‍👩‍👧 العربية\n\tline\r\nnext";
    assertEquals(visible(plain), plain);
    assertEquals(visibleLine("a\n\tb\r\n"), "a\\u000a\\u0009b\\u000d\\u000a");
    for (let c = 0; c < 0xa0; c++) {
      const text = String.fromCharCode(c);
      const acts = (c < 32 && c !== 9 && c !== 10) || c > 126;
      assertEquals(visible(text) !== text, acts && c < 0xa0, `U+${c.toString(16)}`);
    }
  });
});

describe("an error", () => {
  it("shows what it is about escaped, in its message and in colour, and keeps our colours", () => {
    const where = { file: `${EVIL}\nKW-FORGED`, key: EVIL, site: EVIL, json: EVIL, tensor: EVIL, line: 1 };
    const error = new KernelwrightError({
      code: "KW-REF-FETCH",
      what: `Cannot fetch ${EVIL}`,
      fix: EVIL,
      notes: [EVIL],
      where,
      excerpt: { text: `${EVIL}`, length: 2 },
    });
    assert(!ACTS.test(error.message), error.message);
    assertEquals(error.message.split("\n").filter((l) => l.startsWith("KW-FORGED")), []);
    const painted = renderDiagnostic(error.diagnostic, true);
    // deno-lint-ignore no-control-regex
    assert(!ACTS.test(painted.replaceAll(/\x1b\[(1;31|36|0)m/g, "")), painted);
    assertStringIncludes(painted, "\x1b[1;31mKW-REF-FETCH\x1b[0m");
    assertEquals(error.diagnostic.what, `Cannot fetch ${EVIL}`, "data is as it was");
  });
});

describe("the commands", () => {
  beforeAll(async () => {
    folder = Deno.makeTempDirSync({ prefix: "kernelwright-terminal-" });
    await bundlePackage(example, join(folder, "bundle"));
    const file = join(folder, "bundle", "kernel.json");
    const manifest = JSON.parse(Deno.readTextFileSync(file));
    const [kernel] = Object.values(manifest.kernels) as { forward: unknown; parts: { layer: string }[] }[];
    Object.assign(manifest, { name: `${EVIL}\nforged`, license: EVIL, sdk: EVIL });
    kernel.parts[0].layer = EVIL;
    kernel.forward = { parameters: [{ name: EVIL, type: EVIL }], result: EVIL };
    manifest.kernels = { [EVIL]: kernel };
    Deno.writeTextFileSync(file, JSON.stringify(manifest));
    const digest = "0".repeat(64);
    const lock = {
      [`https://a.example/${EVIL}`]: { version: `${EVIL}\nforged`, manifest: digest, files: {} },
    };
    Deno.writeTextFileSync(join(folder, "kernels.lock"), JSON.stringify({ version: 1, kernels: lock }));
    const model = join(folder, "model");
    Deno.mkdirSync(model);
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
    Deno.writeTextFileSync(join(model, "config.json"), JSON.stringify(config));
    const x = Tensor.from(new Float32Array(2), { shape: [2], device: "reference" });
    Deno.writeFileSync(join(model, "model.safetensors"), await writeSafetensors({ [`${EVIL}\nforged`]: x }));
    const odd = join(folder, "odd");
    Deno.mkdirSync(odd);
    Deno.writeTextFileSync(join(odd, "config.json"), JSON.stringify({ ...config, model_type: EVIL }));
    Deno.writeTextFileSync(
      join(odd, "kernels.json"),
      JSON.stringify({ kernels: [{ replace: EVIL, with: EVIL }] }),
    );
    Deno.writeTextFileSync(
      join(odd, "deno.json"),
      JSON.stringify({ name: EVIL, version: EVIL, exports: `./${EVIL}` }),
    );
  });
  afterAll(() => Deno.removeSync(folder, { recursive: true }));

  it("print nothing that acts, on stdout and on stderr", async () => {
    const model = join(folder, "model");
    const odd = join(folder, "odd");
    const lock = join(folder, "kernels.lock");
    for (
      const args of [
        ["info", join(folder, "bundle")],
        ["info", `${folder}/${EVIL}`],
        ["verify", join(folder, "bundle")],
        ["verify", "--lock", lock],
        ["verify", "--lock", `${folder}/${EVIL}`],
        ["versions", "--lock", lock],
        ["versions", "--lock", `${folder}/${EVIL}`],
        ["lock", "--lock", lock, `./${EVIL}:X`],
        ["lock", "--lock", lock, `npm:${EVIL}:X`],
        ["inspect", model],
        ["inspect", odd],
        ["inspect", model, "--kernels", join(odd, "kernels.json")],
        ["run", "--model", odd, "--ids", "1"],
        ["run", "--model", model, "--ids", EVIL],
        ["run", "--model", model, "--ids", "1", "--device", "reference"],
        ["report", "--model", odd, "--kernels", join(odd, "kernels.json")],
        ["demo", "--model", odd],
        ["new-kernel", EVIL, "--replaces", EVIL, "--yes"],
        ["new-kernel", "Fine", "--replaces", EVIL, "--yes", "--dir", `${folder}/${EVIL}`],
        ["bundle", odd],
        ["bundle", `${folder}/${EVIL}`],
      ]
    ) {
      const { out, err } = await said(...args);
      const both = out + err;
      assert(both.length > 0, args.join(" "));
      assert(!ACTS.test(both), `${args.join(" ")}: ${JSON.stringify(both)}`);
      assert(!/^forged/m.test(both), `${args.join(" ")}: ${both}`);
    }
  });

  it("print JSON that reads back as what there was", async () => {
    const info = await said("info", "--json", join(folder, "bundle"));
    assert(!ACTS.test(info.out));
    assertEquals(JSON.parse(info.out).license, EVIL);
    const inspected = await said("inspect", "--json", join(folder, "model"));
    assert(!ACTS.test(inspected.out));
    assertEquals(JSON.parse(inspected.out).tensors[0].key, `${EVIL}\nforged`);
  });

  it("show values that are no text, and leave the console as it was", async () => {
    const { log, error } = console;
    let seen = "";
    console.log = (text: string) => seen += text;
    try {
      await guarded(() => Promise.resolve(console.log({ [EVIL]: new Error(EVIL) }, EVIL, 3)));
      assert(!ACTS.test(seen), JSON.stringify(seen));
      assertStringIncludes(seen, "evil");
      seen = "";
      await guarded(() => Promise.reject(new Error("x"))).catch(() => {});
      console.log(EVIL);
      assertEquals(seen, EVIL);
    } finally {
      console.log = log;
    }
    assertEquals(console.error, error);
  });
});
