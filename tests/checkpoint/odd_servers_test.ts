/** Servers that pack what they send, ignore what they are asked for, or never come to an end. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openCheckpoint, openFolder, readText, urlSource } from "../../sdk/checkpoint/mod.ts";
import { boundedFetch, FetchBoundError, Pace } from "../../sdk/host/bounded_fetch.ts";
import { f32, fileWith, messageOf } from "./files.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Answer = (bytes: Bytes, range: string | null) => Response | Promise<Response>;

const INDEX = "model.safetensors.index.json";
const encode = (text: string) => new TextEncoder().encode(text);
const FILES: Readonly<Record<string, Bytes>> = {
  "config.json": encode(JSON.stringify({ model_type: "llama", note: "x".repeat(4000) })),
  [INDEX]: encode(JSON.stringify({ weight_map: { a: "one.safetensors", b: "one.safetensors" } })),
  "one.safetensors": fileWith({ a: f32([300]), b: f32([1]) }),
};

/** Serves {@linkcode FILES} as `answer` says. */
async function serving(answer: Answer, use: (at: URL) => Promise<void>): Promise<void> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const bytes = FILES[new URL(request.url).pathname.slice(1)];
    return bytes ? answer(bytes, request.headers.get("range")) : new Response("none", { status: 404 });
  });
  try {
    await use(new URL(`http://127.0.0.1:${server.addr.port}/`));
  } finally {
    await server.shutdown();
  }
}

async function packed(bytes: Bytes, format: "gzip" | "deflate" = "gzip"): Promise<Bytes> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The part that a range asks for, and what `content-range` says of it. */
function cut(bytes: Bytes, range: string): [Bytes, string] {
  const [from, last] = /(\d+)-(\d+)/.exec(range)!.slice(1).map(Number);
  const part = bytes.slice(from, Math.min(last + 1, bytes.length));
  return [part, `bytes ${from}-${from + part.length - 1}/${bytes.length}`];
}

async function readsAll(at: URL): Promise<void> {
  assertEquals(await readText(openFolder(at), "config.json"), new TextDecoder().decode(FILES["config.json"]));
  await using checkpoint = await openCheckpoint(at);
  assertEquals([...checkpoint.tensors.keys()], ["a", "b"]);
  const weights = (await urlSource(new URL("one.safetensors", at)))!;
  assertEquals(await weights.read(0, weights.size), FILES["one.safetensors"]);
  await weights.close?.();
}

const RIGHT: Readonly<Record<string, Answer>> = {
  "packs the whole file": async (bytes) =>
    new Response(await packed(bytes), { headers: { "content-encoding": "gzip" } }),
  "packs, and then serves ranges of that": async (bytes, range) => {
    const all = await packed(bytes);
    const headers: Record<string, string> = { "content-encoding": "gzip" };
    if (range === null) return new Response(all, { headers });
    const [part, said] = cut(all, range);
    return new Response(part, { status: 206, headers: { ...headers, "content-range": said } });
  },
  "packs each range": async (bytes, range) => {
    const headers: Record<string, string> = { "content-encoding": "GZIP" };
    if (range === null) return new Response(await packed(bytes), { headers });
    const [part, said] = cut(bytes, range);
    return new Response(await packed(part), { status: 206, headers: { ...headers, "content-range": said } });
  },
  "says that it packs nothing": (bytes) =>
    new Response(bytes, { headers: { "content-encoding": "identity" } }),
  "ignores ranges": (bytes) => new Response(bytes),
  "answers another range": (bytes, range) => {
    if (range === null) return new Response(bytes);
    const said = `bytes 10-${bytes.length - 1}/${bytes.length}`;
    return new Response(bytes.slice(10), { status: 206, headers: { "content-range": said } });
  },
  "sends less than it says": (bytes, range) => {
    if (range === null) return new Response(bytes);
    const [part, said] = cut(bytes, range);
    const most = Math.max(1024, Math.ceil(part.length / 2));
    return new Response(part.slice(0, most), { status: 206, headers: { "content-range": said } });
  },
};

describe("a server", () => {
  for (const [what, answer] of Object.entries(RIGHT)) {
    it(`that ${what} is read right`, () => serving(answer, readsAll));
  }

  it("that packs in a form that is not undone is refused, with the form", async () => {
    for (const form of ["zstd", "deflate", "gzip, gzip"]) {
      const answer: Answer = async (bytes) =>
        new Response(await packed(bytes, "deflate"), { headers: { "content-encoding": form } });
      await serving(answer, async (at) => {
        for (const name of Object.keys(FILES)) {
          const message = await messageOf(() => urlSource(new URL(name, at)));
          assertStringIncludes(message, "KW-CHECKPOINT-OPEN");
          assertStringIncludes(message, JSON.stringify(form));
        }
      });
    }
  });

  it("that answers a part where nobody asked for one is refused", () =>
    serving((bytes) => new Response(bytes.slice(0, 20), { status: 206 }), async (at) => {
      assertStringIncludes(
        await messageOf(() => urlSource(new URL("config.json", at))),
        "KW-CHECKPOINT-OPEN",
      );
    }));

  it("that packs only what comes later is refused", () => {
    let first = true;
    return serving(async (bytes, range) => {
      const [part, said] = cut(bytes, range!);
      const headers = { "content-range": said };
      if (!first) {
        return new Response(await packed(part), {
          status: 206,
          headers: { ...headers, "content-encoding": "gzip" },
        });
      }
      first = false;
      return new Response(part.slice(0, 1024), {
        status: 206,
        headers: { "content-range": `bytes 0-1023/${bytes.length}` },
      });
    }, async (at) => {
      const source = (await urlSource(new URL("one.safetensors", at)))!;
      assertStringIncludes(await messageOf(() => source.read(1000, 200)), "KW-CHECKPOINT-OPEN");
      await source.close?.();
    });
  });

  it("that sends a byte for each request is given up", () =>
    serving((bytes, range) => {
      const [part] = cut(bytes, range!);
      const from = Number(/\d+/.exec(range!)![0]);
      const headers = { "content-range": `bytes ${from}-${from}/${bytes.length}` };
      return new Response(part.slice(0, 1), { status: 206, headers });
    }, async (at) => {
      const message = await messageOf(() => readText(openFolder(at), "config.json"));
      assertStringIncludes(message, "KW-CHECKPOINT-OPEN");
      assertStringIncludes(message, "1 of");
    }));
});

describe("a body", () => {
  it("that drips for ever is given up", async () => {
    let timer: ReturnType<typeof setInterval> | undefined;
    const drips = () =>
      new ReadableStream<Bytes>({
        start: (c) => {
          timer = setInterval(() => c.enqueue(new Uint8Array(1)), 5);
        },
        cancel: () => clearInterval(timer),
      });
    await serving(() => new Response(drips()), async (at) => {
      const { bytes } = await boundedFetch(new URL("config.json", at), {}, { idleTimeout: 300 });
      await assertRejects(() => bytes(), FetchBoundError, "in 300 ms");
    });
    clearInterval(timer);
  });

  it("that is slow and steady is read, however long it takes", () => {
    const pace = new Pace(30_000, 0);
    for (let s = 1; s < 100_000; s++) assertEquals(pace.tooSlow(1000, s * 1000), undefined);
  });

  it("that slows down is given up where it has become too slow", () => {
    const pace = new Pace(30_000, 0);
    for (let s = 1; s <= 60; s++) assertEquals(pace.tooSlow(1_000_000, s * 1000), undefined);
    const late = Array.from({ length: 200 }, (_, s) => pace.tooSlow(1, (60 + s) * 1000)).findIndex((w) => w);
    assertEquals(late >= 30 && late <= 62, true);
  });
});
