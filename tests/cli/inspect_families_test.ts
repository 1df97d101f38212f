import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { inModelFolder, SIGLIP, siglipWeights, VIT, vitWeights } from "../models/vision_checkpoints.ts";

const MAIN = decodeURIComponent(new URL("../../sdk/cli/main.ts", import.meta.url).pathname);

async function inspect(dir: string, ...flags: string[]): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", MAIN, "inspect", dir, ...flags],
    env: { NO_COLOR: "1" },
  });
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assertEquals(code, 0, text(stderr));
  return text(stdout);
}

describe("kernelwright inspect, of a model that is no decoder", () => {
  it("fits the tree to what the checkpoint has", async () => {
    await inModelFolder(VIT, vitWeights(VIT, { prefix: "" }), async (dir) => {
      const found = JSON.parse(await inspect(dir, "--json"));
      assertEquals([found.missing, found.unexpected, found.mismatched], [[], [], []]);
      assertEquals(found.model_type, "vit");
    });
  });

  it("says what is left out, and why", async () => {
    const both = { model_type: "siglip", vision_config: SIGLIP };
    const logit_scale = { shape: [1], data: [1] };
    await inModelFolder(both, { ...siglipWeights(SIGLIP), logit_scale }, async (dir) => {
      const text = await inspect(dir);
      assert(text.includes('not read: "logit_scale" (saving copies it)'), text);
      assert(!/missing|unexpected/.test(text), text);
    });
  });
});
