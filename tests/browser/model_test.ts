/** The whole of it in a page: a model over HTTP and from files, generation, kernels with verification, memory. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { beforeAll, describe, it } from "@std/testing/bdd";
import { generate, loadCausalLM } from "../../sdk/models/mod.ts";
import { bundleForPage } from "../helpers/bundle_for_page.ts";
import { findChromium, openPage } from "../helpers/chromium.ts";
import { type Asked, fileBelow } from "../helpers/file_server.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { modelFolder } from "../helpers/models.ts";
import { expectedJson } from "../models/checkpoints.ts";
import type { Seen } from "./page.ts";

const chromium = findChromium();
const folder = modelFolder("stories260k");
const missing = chromium ? folder ? undefined : "no checkpoint" : "no Chromium, which CHROMIUM may name";
const name = `a model in a page${missing ? ` (skipped: ${missing})` : ""}`;

describe({ name, ignore: missing !== undefined }, () => {
  gpuForFile();
  let seen: Seen;
  let asked: readonly Asked[];

  beforeAll(async () => {
    const bundle = await bundleForPage({ page: "tests/browser/page.ts" }, { minify: true });
    const page = `<!doctype html><title>Kernelwright</title><script type="module" src="page.js"></script>`;
    const kernels = fileBelow(new URL("../..", import.meta.url).pathname, "kernels.json");
    const encode = (text: string) => new TextEncoder().encode(text);
    const read = (path: string) => {
      if (path === "/") return encode(page);
      if (path === "/kernels.json") return kernels;
      const code = bundle.get(path);
      if (code !== undefined) return encode(code);
      const [, file] = /^\/(?:model|whole)\/([\w.]+)$/.exec(path) ?? [];
      return file && fileBelow(folder!, file) || undefined;
    };
    const result = await openPage(chromium!, { read, ranges: (path) => !path.startsWith("/whole/") }, 60_000);
    seen = JSON.parse(result.text);
    asked = result.asked;
    assertEquals(seen.error, undefined);
    console.log(seen.adapter ? `adapter: ${seen.adapter}; ${seen.features}` : "no adapter: nothing was run");
  });

  /** A test of what the page saw, where it had an adapter. */
  function sees(what: string, check: () => unknown): void {
    it(what, async () => {
      if (seen.adapter) await check();
    });
  }

  sees("writes the expected ids, however it was loaded and with whatever kernels", async () => {
    const { new_ids } = await expectedJson<{ new_ids: number[] }>("stories260k", "greedy");
    const ways = Object.keys(seen.ids);
    assertEquals(ways.length, 7, ways.join());
    for (const way of ways) assertEquals(seen.ids[way], new_ids.slice(0, 32), way);
    assertStringIncludes(seen.text!, "Once upon a time, there was a little girl named Lily.");
  });

  sees("draws the ids that a seed gives anywhere", async () => {
    using model = await loadCausalLM(folder!);
    const sampling = { temperature: 1.1, topK: 60, topP: 0.95, seed: 5 };
    const { ids } = await generate(model, [[1]], { maxNewTokens: 16, eosTokenIds: [], sampling });
    assertEquals(seen.drawn, [ids[0], ids[0]]);
  });

  sees("compiles nothing more once it is ready", () => assertEquals(seen.compiledLate, 0));

  sees("waits for no timer while it writes", () => assertEquals(seen.timers, 0));

  sees("puts in every kernel of kernels.json, verified", () => {
    assertEquals(seen.swapped!.filter((kernel) => kernel === "CustomRMSNorm").length, 5);
    assertEquals(seen.swapped!.filter((kernel) => kernel === "RMSNormMLP").length, 5);
    assertEquals(seen.checked, seen.swapped!.map(() => true));
    assertEquals(seen.timed, seen.features!.includes("timestamp-query"));
  });

  sees("puts in the kernels of a mapping in scope", () => assertEquals(seen.mapped, 11));

  sees("holds what it held before", () => {
    const held = (when: string) => {
      const { tensors, buffers, bytes, pooledBytes } = seen.memory[when];
      return { tensors, buffers, bytes, pooledBytes };
    };
    assertEquals(held("loaded").tensors, 47);
    assertEquals(held("written"), held("loaded"));
    assertEquals(held("unkernelized"), held("loaded"));
    const nothing = { tensors: 0, buffers: 0, bytes: 0, pooledBytes: 0 };
    assertEquals([held("disposed"), held("end")], [nothing, nothing]);
  });

  sees("reads by ranges where the server has them, and once where it has not", () => {
    const of = (path: string) => asked.filter((a) => a.path === path);
    const parts = of("/model/model.safetensors");
    assert(parts.length > 3 && parts.every((a) => a.status === 206), JSON.stringify(parts));
    // And once for the picked files, by the page itself.
    assertEquals(of("/whole/model.safetensors").map((a) => [a.range !== null, a.status]), [
      [true, 200],
      [false, 200],
    ]);
  });

  sees("says what cannot be, and why", () =>
    assertEquals(seen.refused, {
      "a reference without a resolver": "KW-REF-SYNTAX",
      "an address with nothing": "KW-MODEL-TYPE",
      "too few files": "KW-MODEL-TYPE",
      "saving": "KW-CHECKPOINT-OPEN",
    }));
});
