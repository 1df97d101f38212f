import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { boundedFetch, FetchBoundError } from "../../sdk/host/bounded_fetch.ts";
import { openFolder, readText } from "../../sdk/checkpoint/mod.ts";
import { messageOf } from "./files.ts";

async function withServer(
  handler: (r: Request) => Response | Promise<Response>,
  use: (at: URL) => Promise<void>,
) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handler);
  try {
    await use(new URL(`http://127.0.0.1:${server.addr.port}/`));
  } finally {
    await server.shutdown();
  }
}

function packed(bytes: number): Response {
  const body = new Blob([new Uint8Array(bytes)]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(body, { headers: { "content-encoding": "gzip" } });
}

describe("what is fetched", () => {
  it("is given up where the server does not answer", async () => {
    let answer = (_: Response) => {};
    const never = new Promise<Response>((resolve) => answer = resolve);
    await withServer(() => never, async (url) => {
      await assertRejects(() => boundedFetch(url, {}, { headersTimeout: 50 }), FetchBoundError, "50 ms");
      answer(new Response());
    });
  });

  it("is given up where it is too large", () =>
    withServer(() => new Response(new Uint8Array(17_000_000)), async (url) => {
      const message = await messageOf(() => readText(openFolder(url), "config.json"));
      assertStringIncludes(message, "KW-CHECKPOINT-OPEN");
      assertStringIncludes(message, "at most 16000000");
    }));

  it("is given up where it unpacks to too much", () =>
    withServer(() => packed(17_000_000), async (url) => {
      const { bytes } = await boundedFetch(url);
      await assertRejects(() => bytes(1_000_000), FetchBoundError, "at most 1000000");
    }));

  it("is asked for with the folder's query", () =>
    withServer((r) => new Response(new URL(r.url).search), async (url) => {
      assertEquals(await readText(openFolder(`${url}dir?token=x`), "config.json"), "?token=x");
    }));
});
