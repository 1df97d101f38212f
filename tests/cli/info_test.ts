import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Surroundings } from "../../sdk/cli/info.ts";
import { SDK_VERSION } from "../../sdk/version.ts";

const ROOT = new URL("../../", import.meta.url);
const MAIN = decodeURIComponent(new URL("sdk/cli/main.ts", ROOT).pathname);

async function info(args: string[] = [], env: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", MAIN, "info", ...args],
    env: { NO_COLOR: "1", ...env },
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

describe("kernelwright info", () => {
  it("prints versions, system, adapter, features and limits, as text and as JSON", async () => {
    const said: Surroundings = JSON.parse(await info(["--json"]));
    assertEquals(said.sdk, SDK_VERSION);
    assertEquals([said.runtime.deno, said.runtime.os, said.runtime.arch], [
      Deno.version.deno,
      Deno.build.os,
      Deno.build.arch,
    ]);
    assert(said.adapter && said.problem === undefined);
    assert(said.limits.maxStorageBufferBindingSize >= 128 * 2 ** 20);

    const text = await info();
    for (const part of [SDK_VERSION, Deno.version.deno, Deno.build.arch, said.adapter.description]) {
      assert(text.includes(part), text);
    }
    for (const name of [...said.features, ...Object.keys(said.limits)]) assert(text.includes(name), text);
  });

  it(
    "says why there is no adapter, and the rest all the same",
    { ignore: Deno.build.os !== "linux" },
    async () => {
      const none = { VK_DRIVER_FILES: "/dev/null" };
      const said: Surroundings = JSON.parse(await info(["--json"], none));
      assertEquals([said.sdk, said.adapter, said.features, said.limits], [SDK_VERSION, null, [], {}]);
      assert(said.problem!.includes("KW-GPU-NONE"), said.problem);
      assert((await info([], none)).includes("KW-GPU-NONE"));
    },
  );

  it("prints each thing that the issue templates ask for", async () => {
    const rows = (await info()).split("\n").map((line) => line.split(" ")[0].toLowerCase()).join(" ");
    for (const name of ["bug", "kernel"]) {
      const template = await Deno.readTextFile(new URL(`.github/ISSUE_TEMPLATE/${name}.yml`, ROOT));
      const [, asked] = /\.\/dev info`[^(]*\((.*?)\)/.exec(template)!;
      for (const thing of asked.toLowerCase().split(", ")) {
        assert(rows.includes(thing === "limits" ? "maxbuffersize" : thing), `${name}.yml asks for ${thing}`);
      }
    }
  });
});
