/** Models that are elsewhere than on this disk: behind an address, in files. What a page does, done here. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { CustomRMSNorm } from "../../examples/custom-rmsnorm/mod.ts";
import {
  type CausalLM,
  generate,
  loadCausalLM,
  loadTokenizer,
  readKernelConfig,
} from "../../sdk/models/mod.ts";
import { messageOf } from "../checkpoint/files.ts";
import { fileBelow, type FileServer, serveFiles } from "../helpers/file_server.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { expectedJson, modelDir, needsModels } from "./checkpoints.ts";

const KERNELS = { kernels: [{ replace: "RMSNorm", with: "./norms:CustomRMSNorm" }] };

/** A server of the stories model, with or without a kernels.json of its own. */
function serving(kernels?: unknown): FileServer {
  const read = (path: string) =>
    path === "/model/kernels.json"
      ? kernels === undefined ? undefined : new TextEncoder().encode(JSON.stringify(kernels))
      : fileBelow(modelDir("stories260k"), path.replace("/model/", ""));
  return serveFiles({ read });
}

async function writes(model: CausalLM): Promise<void> {
  const { new_ids } = await expectedJson<{ new_ids: number[] }>("stories260k", "greedy");
  const { ids } = await generate(model, [[1]], { maxNewTokens: 4, eosTokenIds: [] });
  assertEquals(ids[0], new_ids.slice(0, 4));
}

describe(needsModels("a model that is elsewhere"), () => {
  gpuForFile();

  it("loads from an address, with its tokenizer", async () => {
    await using server = serving();
    for (const place of [new URL("model", server.url), new URL("model/", server.url).href]) {
      using model = await loadCausalLM(place);
      await writes(model);
      assertEquals((await loadTokenizer(place))!.decode([403, 407]), "Once upon");
    }
  });

  it("loads from files, in a list and by their names", async () => {
    const dir = modelDir("stories260k");
    const names = ["config.json", "model.safetensors", "tokenizer.json"];
    const files = names.map((name) => new File([fileBelow(dir, name)!], name));
    const byName = Object.fromEntries(files.map((f) => [f.name, f]));
    for (const place of [files, byName]) {
      using model = await loadCausalLM(place);
      await writes(model);
      assertEquals((await loadTokenizer(place))!.decode([403, 407]), "Once upon");
    }
    assertEquals(await loadTokenizer(files.slice(0, 2)), undefined);
  });

  it("says which file is missing where", async () => {
    await using server = serving();
    const nothing = new URL("nothing", server.url);
    assertStringIncludes(
      await messageOf(() => loadCausalLM(nothing)),
      `KW-MODEL-TYPE  ${nothing.href}/config.json`,
    );
    assertStringIncludes(
      await messageOf(() => loadCausalLM([])),
      'Cannot read "files/config.json"',
    );
    assertStringIncludes(
      await messageOf(() => readKernelConfig(new URL("none.json", server.url))),
      `Cannot read the kernel config "${server.url.href}none.json"`,
    );
  });

  it("takes the kernels of an address from where they are, and its own only with trust", async () => {
    await using server = serving(KERNELS);
    const model = new URL("model", server.url);
    const own = new URL("model/kernels.json", server.url);
    const asked: string[] = [];
    const resolver = (ref: string, base: URL | undefined) => {
      asked.push(`${ref} ${base?.href}`);
      return Promise.resolve(CustomRMSNorm);
    };
    for (const options of [{}, { trust: true }, { kernels: own }, { kernels: own.href }]) {
      using loaded = await loadCausalLM(model, { ...options, kernelize: { resolver } });
      await writes(loaded);
    }
    assertEquals(asked, new Array(3).fill(`./norms:CustomRMSNorm ${own.href}`));
  });
});
