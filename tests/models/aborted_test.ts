/** Loading and saving are cancelled at each of the moments at which they look, and nothing remains of them. */
import { assert, assertEquals, assertLess } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type ErrorCode, KernelwrightError } from "../../sdk/errors.ts";
import { currentGpu, memory } from "../../sdk/gpu/mod.ts";
import { generate, loadCausalLM, type PretrainedOptions, savePretrained } from "../../sdk/models/mod.ts";
import { inFolder } from "../checkpoint/files.ts";
import { fileBelow, serveFiles } from "../helpers/file_server.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { modelDir, needsModels } from "./checkpoints.ts";

const KERNELS = decodeURIComponent(new URL("../../kernels.json", import.meta.url).pathname);
const DIR = modelDir("stories260k");

/** A signal that aborts when it is looked at for the n-th time. */
function abortedAt(n: number): { signal: AbortSignal; looks: () => number } {
  const stop = new AbortController();
  let looks = 0;
  const real = Object.getOwnPropertyDescriptor(AbortSignal.prototype, "aborted")!.get!;
  Object.defineProperty(stop.signal, "aborted", {
    get() {
      if (++looks === n) stop.abort("enough");
      return real.call(stop.signal);
    },
  });
  return { signal: stop.signal, looks: () => looks };
}

async function codeOf(run: () => Promise<unknown>): Promise<ErrorCode | "foreign" | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    return error instanceof KernelwrightError ? error.code : "foreign";
  }
}

function held(): unknown {
  currentGpu().trim();
  const { tensors, buffers, bytes } = memory();
  return { tensors, buffers, bytes };
}

/** Every n in turn while they are few, and then some, up to the last. */
function some(looks: number): number[] {
  const step = Math.max(1, Math.floor(looks / 12));
  return Array.from({ length: looks }, (_, i) => i + 1).filter((n) =>
    n <= 4 || n > looks - 3 || n % step === 0
  );
}

describe(needsModels("cancelled"), () => {
  gpuForFile();

  const ways: Record<string, PretrainedOptions> = {
    "plain": {},
    "with kernels": { kernels: KERNELS },
    "made ready": { kernels: KERNELS, ready: true },
  };
  for (const [way, options] of Object.entries(ways)) {
    it(`while it loads, ${way}, a model leaves nothing behind`, async () => {
      const count = abortedAt(Infinity);
      using model = await loadCausalLM(DIR, { ...options, signal: count.signal });
      await generate(model, [[1]], { maxNewTokens: 1 });
      model.dispose();
      const before = held();
      for (const n of some(count.looks())) {
        const { signal, looks } = abortedAt(n);
        const code = await codeOf(async () => (await loadCausalLM(DIR, { ...options, signal })).dispose());
        // What is compiled is not compiled again, so that later loads may look less often.
        assertEquals(code, looks() < n ? undefined : "KW-ABORTED", `look ${n}`);
        assertEquals(held(), before, `look ${n}`);
      }
    });
  }

  it("while it is saved, a model leaves the folder as it was", () =>
    inFolder(async (folder) => {
      using model = await loadCausalLM(DIR, { kernels: KERNELS });
      await savePretrained(model, folder);
      const files = () =>
        [...Deno.readDirSync(folder)].map((e) => [e.name, Deno.statSync(`${folder}/${e.name}`).ino]);
      const [before, names] = [held(), files()];
      const count = abortedAt(Infinity);
      await savePretrained(model, folder, { signal: count.signal, kernels: false });
      const after = files();
      assert(!after.some(([name]) => name === "kernels.json"));
      for (const n of some(count.looks())) {
        const { signal } = abortedAt(n);
        assertEquals(
          await codeOf(() => savePretrained(model, folder, { signal })),
          "KW-ABORTED",
          `look ${n}`,
        );
        assertEquals([held(), files()], [before, after], `look ${n}`);
      }
      assertEquals(names.length, after.length + 1);
    }));

  for (const slow of ["config.json", "generation_config.json", "model.safetensors", "kernels.json"]) {
    it(`while a server does not answer for ${slow}, a model is not waited for`, async () => {
      const stop = new AbortController();
      let answer = () => {};
      const never = new Promise<void>((resolve) => answer = resolve);
      await using server = serveFiles({
        read: (path) => path === `/${slow}` ? undefined : fileBelow(DIR, path),
        otherwise: async (request) => {
          if (new URL(request.url).pathname !== `/${slow}`) return new Response("none", { status: 404 });
          stop.abort("enough");
          await never;
          return new Response("late");
        },
      });
      const before = held();
      const began = performance.now();
      const options = {
        signal: stop.signal,
        ...slow === "kernels.json" ? { kernels: new URL("kernels.json", server.url) } : {},
      };
      const code = await codeOf(() => loadCausalLM(server.url, options)).finally(answer);
      assertEquals(code, "KW-ABORTED");
      assertLess(performance.now() - began, 10_000); // and not the 20 or 30 seconds of a server that never answers
      assertEquals(held(), before);
    });
  }
});
