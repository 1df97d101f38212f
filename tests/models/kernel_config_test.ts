/** Where the references and the lock of a kernels.json are looked for. */
import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { lockFor } from "../../sdk/cli/resolver.ts";
import { readKernelConfig } from "../../sdk/models/mod.ts";

describe("a kernels.json", () => {
  it("that was redirected is at its last address", async () => {
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/latest.json") {
        return new Response(null, { status: 302, headers: { location: "/v2/kernels.json" } });
      }
      return Response.json({ kernels: [] });
    });
    try {
      const at = `http://127.0.0.1:${server.addr.port}`;
      assertEquals((await readKernelConfig(`${at}/latest.json`)).base.href, `${at}/v2/kernels.json`);
      assertEquals((await readKernelConfig(`${at}/v2/kernels.json`)).base.href, `${at}/v2/kernels.json`);
    } finally {
      await server.shutdown();
    }
  });

  it("has its lock beside it, and one at an address in the working folder", () => {
    assertEquals(lockFor("a/b/kernels.json"), "a/b/kernels.lock");
    assertEquals(lockFor("kernels.json"), "kernels.lock");
    assertEquals(lockFor("file:///a/b%23/kernels.json"), "/a/b#/kernels.lock");
    assertEquals(lockFor("https://models.example/llama/kernels.json"), "kernels.lock");
  });
});
