import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openCheckpoint, openFolder, readText, urlSource } from "../../sdk/checkpoint/mod.ts";
import { serveFiles, type ServeOptions } from "../helpers/file_server.ts";
import { f32, fileWith, messageOf } from "./files.ts";

const INDEX = "model.safetensors.index.json";
const encode = (text: string) => new TextEncoder().encode(text);
const SHARDS = {
  [INDEX]: encode(JSON.stringify({
    weight_map: { c: "b/two #2.safetensors", a: "one.safetensors", "b.w": "one.safetensors" },
  })),
  "one.safetensors": fileWith({ a: f32([2]), "b.w": f32([1]) }),
  "b/two #2.safetensors": fileWith({ c: f32([3]) }),
};
const LONG = Uint8Array.from({ length: 1_000_000 }, (_, i) => i * 7 + (i >> 8));

/** A server of files below /model/, and what it was asked for there. */
function serving(files: Record<string, Uint8Array<ArrayBuffer>>, options: Partial<ServeOptions> = {}) {
  return serveFiles({ read: (path) => files[path.replace("/model/", "")], ...options });
}

describe("a source over an address", () => {
  it("fetches what is read, and small reads once", async () => {
    await using server = serving({ long: LONG });
    const source = (await urlSource(new URL("model/long", server.url)))!;
    assertEquals(source.size, LONG.length);
    for (const [offset, length] of [[0, 8], [8, 100], [100, 0], [262_000, 300], [262_144, 9]]) {
      assertEquals(await source.read(offset, length), LONG.slice(offset, offset + length));
    }
    assertEquals(await source.read(300_000, 500_000), LONG.slice(300_000, 800_000));
    assertEquals(await source.read(999_990, 100), LONG.slice(999_990));
    assertEquals((await source.read(2_000_000, 4)).length, 0);
    assertEquals(server.asked.map((a) => [a.range, a.status]), [
      ["bytes=0-262143", 206],
      ["bytes=262000-524143", 206],
      ["bytes=300000-799999", 206],
      ["bytes=999990-999999", 206],
    ]);
    await source.close?.();
  });

  it("fetches all of it where the server knows no ranges, once", async () => {
    await using server = serving({ long: LONG }, { ranges: false });
    const source = (await urlSource(new URL("model/long", server.url)))!;
    assertEquals(source.size, LONG.length);
    assertEquals(await source.read(999_990, 100), LONG.slice(999_990));
    assertEquals(await source.read(0, LONG.length), LONG);
    assertEquals(server.asked.map((a) => a.status), [200]);
  });

  it("does without the header that another site hides", async () => {
    await using server = serving({ long: LONG });
    await using hiding = serveFiles({
      read: () => undefined,
      otherwise: async (request) => {
        const at = new URL(new URL(request.url).pathname, server.url);
        const { status, body } = await fetch(at, { headers: request.headers });
        return new Response(body, { status });
      },
    });
    const source = (await urlSource(new URL("model/long", hiding.url)))!;
    assertEquals(await source.read(0, LONG.length), LONG);
    assertEquals(hiding.asked.map((a) => a.range), ["bytes=0-262143", null]);
  });

  it("reads an empty file", async () => {
    for (const ranges of [true, false]) {
      await using server = serving({ none: new Uint8Array(0) }, { ranges });
      const source = (await urlSource(new URL("model/none", server.url)))!;
      assertEquals([source.size, (await source.read(0, 8)).length], [0, 0]);
    }
  });

  it("refuses a file that changes while it is read", async () => {
    for (const change of ["length", "etag"]) {
      let changed = false;
      await using server = serveFiles({
        read: () => changed && change === "length" ? LONG.slice(1) : LONG,
        headers: () => ({ etag: changed && change === "etag" ? '"2"' : '"1"' }),
      });
      const source = (await urlSource(new URL("long", server.url)))!;
      await source.read(0, 8);
      changed = true;
      assertStringIncludes(await messageOf(() => source.read(500_000, 8)), "has changed while it was read");
    }
  });

  it("says what the server answered, and who could not be reached", async () => {
    await using server = serving({}, { otherwise: () => new Response("", { status: 500 }) });
    const url = new URL("model/x", server.url);
    assertEquals(
      await messageOf(() => urlSource(url)),
      `KW-CHECKPOINT-OPEN  ${url.href}\n  Cannot read the file: the server answered 500`,
    );
    await server[Symbol.asyncDispose]();
    assertStringIncludes(await messageOf(() => urlSource(url)), "its server allows that (CORS)");
  });

  it("asks again after a failure", async () => {
    let broken = false;
    await using server = serveFiles({ read: () => broken ? undefined : LONG });
    const source = (await urlSource(new URL("long", server.url)))!;
    broken = true;
    assertStringIncludes(await messageOf(() => source.read(500_000, 8)), "answered 404");
    broken = false;
    assertEquals(await source.read(500_000, 8), LONG.slice(500_000, 500_008));
  });
});

describe("openCheckpoint()", () => {
  it("reads shards behind an address, with and without a slash", async () => {
    for (const ranges of [true, false]) {
      await using server = serving(SHARDS, { ranges });
      for (const at of ["model", "model/"]) {
        for (const place of [new URL(at, server.url), new URL(at, server.url).href]) {
          await using checkpoint = await openCheckpoint(place);
          assertEquals([...checkpoint.tensors.keys()], ["c", "a", "b.w"]);
        }
      }
    }
  });

  it("reads a single file behind an address", async () => {
    await using server = serving({ "model.safetensors": SHARDS["one.safetensors"] });
    await using folder = await openCheckpoint(new URL("model", server.url));
    await using file = await openCheckpoint(new URL("model/model.safetensors", server.url));
    assertEquals([folder.tensors.size, file.tensors.size], [2, 2]);
    const none = new URL("model/other.safetensors", server.url);
    assertStringIncludes(await messageOf(() => openCheckpoint(none)), "The server has no such file");
  });

  it("takes a page that is answered in place of a file for no file", async () => {
    const otherwise = () => new Response("<!doctype html>", { headers: { "content-type": "text/html" } });
    await using server = serving(SHARDS, { otherwise });
    await using checkpoint = await openCheckpoint(new URL("model", server.url));
    assertEquals(checkpoint.tensors.size, 3);
    assertStringIncludes(
      await messageOf(() => openCheckpoint(new URL("nothing", server.url))),
      `The folder has neither model.safetensors nor ${INDEX}`,
    );
  });

  it("reads files that a user picked, one by one, as a folder, and by names", async () => {
    const files = Object.entries(SHARDS).map(([name, bytes]) => new File([bytes], name));
    const ofFolder = Object.entries(SHARDS).map(([path, bytes]) =>
      Object.assign(new File([bytes], path.split("/").at(-1)!), { webkitRelativePath: `mine/${path}` })
    );
    const byName = Object.fromEntries(files.map((f) => [f.name, f.slice()]));
    for (const set of [files, new Set(files), ofFolder, byName]) {
      await using checkpoint = await openCheckpoint(set);
      assertEquals([...checkpoint.tensors.keys()], ["c", "a", "b.w"]);
    }
    assertEquals(
      await messageOf(() => openCheckpoint([new File([], "model.gguf")])),
      `KW-CHECKPOINT-OPEN  files
  The folder has neither model.safetensors nor ${INDEX}
  It has model.gguf: give a .safetensors file by its path; other formats must be converted.`,
    );
    assertStringIncludes(
      await messageOf(() => openCheckpoint(files.slice(0, 2))),
      'The shard "b/two #2.safetensors" is missing; it has 1 tensors',
    );
  });

  it("asks no other server for what an index names", async () => {
    await using other = serveFiles({ read: () => SHARDS["one.safetensors"] });
    for (const to of [`http:127.0.0.1:${other.url.port}`, "data:,x", "?x", "#x", "%2e%2e%2fx"]) {
      const weights = encode(JSON.stringify({ weight_map: { a: to } }));
      await using server = serving({ [INDEX]: weights });
      assertStringIncludes(
        await messageOf(() => openCheckpoint(new URL("model", server.url))),
        "is missing; it has 1 tensors",
      );
      assertEquals(server.asked.at(-1)!.path, `/model/${to}`);
    }
    assertEquals(other.asked, []);
  });
});

describe("openFolder()", () => {
  it("leaves a folder of one's own as it is", async () => {
    const own = { name: "own", open: (name: string) => openFolder({ a: new Blob(["text"]) }).open(name) };
    assert(openFolder(own) === own);
    assertEquals([await readText(own, "a"), await readText(own, "b")], ["text", undefined]);
  });
});

describe("a file at an address", () => {
  it("is read whole from a server that sends less than it is asked for", async () => {
    const most = 100_000;
    await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
      const [, from, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.get("range")!)!.map(Number);
      const part = LONG.subarray(from, Math.min(last + 1, from + most));
      const range = `bytes ${from}-${from + part.length - 1}/${LONG.length}`;
      return new Response(part, { status: 206, headers: { "content-range": range } });
    });
    const source = await urlSource(new URL(`http://127.0.0.1:${server.addr.port}/model.safetensors`));
    try {
      const reads = [[0, 10], [50_000, 100_000], [99_999, 2], [150_000, 400_000], [999_000, 5000]];
      for (const [offset, length] of reads) {
        const [got, wanted] = [await source!.read(offset, length), LONG.subarray(offset, offset + length)];
        assertEquals(got.length, wanted.length); // a difference of so many bytes takes minutes to draw
        assert(got.every((byte, i) => byte === wanted[i]), `other bytes from ${offset}`);
      }
    } finally {
      await source!.close!(); // or the server would wait for it
    }
  });

  it("can be closed before anything of it was read", async () => {
    // The first part is on its way then, and what becomes of it is nobody's concern.
    const body = () => new ReadableStream({ start: (c) => c.enqueue(new Uint8Array(8)) }); // never ends
    const headers = { "content-range": "bytes 0-262143/1000000" };
    await using server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      () => new Response(body(), { status: 206, headers }),
    );
    const source = await urlSource(new URL(`http://127.0.0.1:${server.addr.port}/model.safetensors`));
    await source!.close!();
    await new Promise((resolve) => setTimeout(resolve, 20));
  });
});
