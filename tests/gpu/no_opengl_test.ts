/** What openGpu() has Deno open: no OpenGL, whose library aborts processes at their end now and then. */
import { assertEquals } from "@std/assert";
import { afterAll, describe, it } from "@std/testing/bdd";
import { gpuIfOpen, openGpu } from "../../sdk/gpu/mod.ts";

const VARIABLE = "DENO_WEBGPU_BACKEND";
const config = new URL("../../deno.json", import.meta.url);

/** In a process of its own, since what is opened stays. */
async function opened(permissions: string[], env: Record<string, string>): Promise<string> {
  const script = Deno.makeTempFileSync({ suffix: ".ts" });
  Deno.writeTextFileSync(
    script,
    `import { openGpu } from "${new URL("../../sdk/gpu/mod.ts", import.meta.url)}";
     await openGpu();
     const mayAsk = (await Deno.permissions.query({ name: "env" })).state === "granted";
     console.log(mayAsk ? Deno.env.get("${VARIABLE}") : "no permission");`,
  );
  try {
    const usual = Deno.env.toObject();
    delete usual[VARIABLE]; // the tests in this process have set it
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-check", `--config=${config.pathname}`, ...permissions, script],
      clearEnv: true,
      env: { ...usual, ...env },
    }).output();
    return new TextDecoder().decode(stdout).trim() || new TextDecoder().decode(stderr);
  } finally {
    Deno.removeSync(script);
  }
}

describe("openGpu() and OpenGL", () => {
  afterAll(() => gpuIfOpen()?.destroy());

  it("does not have OpenGL opened", async () => {
    assertEquals(await opened(["-A"], {}), "vulkan,metal,dx12");
    if (Deno.build.os !== "linux" || Deno.env.get(VARIABLE) !== undefined) return; // a user may want it
    await openGpu();
    assertEquals(/^.*libEGL.*$/m.exec(Deno.readTextFileSync("/proc/self/maps")), null);
  });

  it("leaves the choice to the user", async () => {
    assertEquals(await opened(["-A"], { [VARIABLE]: "gl,vulkan,metal,dx12" }), "gl,vulkan,metal,dx12");
  });

  it("opens a device all the same where it may not choose", async () => {
    assertEquals(await opened(["--allow-read"], {}), "no permission");
  });
});
