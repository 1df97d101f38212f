/** Where a server may lead to, and how much it may send: for bundles and for kernels.json. */
import { afterEach, describe, it } from "@std/testing/bdd";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { KernelwrightError } from "@kernelwright/sdk";
import { lookUp, placeOf, placeOfAddress, placesOf } from "../../sdk/host/address.ts";
import { fetchBytes } from "../../sdk/host/guarded_fetch.ts";
import { readKernelConfig } from "../../sdk/models/mod.ts";

const real = globalThis.fetch;
const code = async (run: () => Promise<unknown>) =>
  ((await assertRejects(run, KernelwrightError)) as KernelwrightError).code;

/** What names resolve to; nothing is asked of a name server. */
const NAMES: Record<string, string[]> = {
  "kernels.example": ["93.184.216.34"],
  "cdn.example": ["93.184.216.35", "2606:2800:220:1::1"],
  "rebound.example": ["10.0.0.7"],
  "half.example": ["93.184.216.34", "::ffff:169.254.169.254"],
  "own.example": ["10.1.2.3"],
  "beside.example": ["10.1.2.4"],
};
const resolve = (host: string) => Promise.resolve(NAMES[host] ?? []);

/** A fetch that redirects from one address to another, and then has a byte. */
function redirecting(from: string, to: string): void {
  globalThis.fetch = ((url: URL) =>
    Promise.resolve(
      String(url) === new URL(from).href
        ? new Response(null, { status: 302, headers: { location: to } })
        : new Response("x"),
    )) as typeof fetch;
}

describe("a redirect", () => {
  afterEach(() => {
    globalThis.fetch = real;
  });
  const led = async (from: string, to: string) => {
    redirecting(from, to);
    return await fetchBytes(new URL(from), {}, { resolve }).then(
      () => "followed",
      (e) => (e as KernelwrightError).code,
    );
  };
  const start = "https://kernels.example/kernel.js";

  it("from a public address to a private one is not followed, in any spelling", async () => {
    for (
      const host of [
        ..."10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255 127.0.0.1 127.9.9.9"
          .split(" "),
        ..."169.254.169.254 0.0.0.0 0.1.2.3 192.0.2.1 198.18.0.1 224.0.0.1 255.255.255.255 240.0.0.1".split(
          " ",
        ),
        ..."2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001 127.1 10.1 0xA9FEA9FE 2852039166".split(" "),
        ..."127.0.0.1. 127%E3%80%820.0.1 %EF%BC%91%EF%BC%92%EF%BC%97.0.0.1 %31%32%37.0.0.1".split(" "),
        ..."[::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:10.0.0.1] [::127.0.0.1] [0:0:0:0:0:ffff:a00:1]"
          .split(" "),
        ..."[fc00::1] [fd12:3456::1] [fe80::1] [febf::1] [fec0::1] [ff02::1] [64:ff9b::a00:1] [2002:7f00:1::]"
          .split(" "),
        ..."[2001:db8::1] [2001::1] [64:ff9b:1::1] [::ffff:0:10.0.0.1] [100::1]".split(" "),
        ..."localhost localhost. LOCALHOST a.localhost a.localhost. localhost.localdomain ip6-localhost"
          .split(" "),
        ..."router metadata metadata.google.internal printer.local nas.lan x.home.arpa wiki.corp".split(" "),
        ..."rebound.example rebound.example. half.example REBOUND.example".split(" "),
      ]
    ) {
      assertEquals(await led(start, `https://${host}/kernel.js`), "KW-REF-ESCAPES", host);
      assertEquals(await led(start, `https://${host}:8443/kernel.js`), "KW-REF-ESCAPES", host);
      assertEquals(await led(start, `//${host}/kernel.js`), "KW-REF-ESCAPES", host);
    }
  });

  it("to a user and a password, to http, and to what is not an address is not followed", async () => {
    for (
      const to of [
        "https://user:word@cdn.example/",
        "https://user@cdn.example/",
        "https://:word@kernels.example/x",
        "http://cdn.example/kernel.js",
        "http://kernels.example/kernel.js",
        "http://127.0.0.1/kernel.js",
        "file:///etc/passwd",
        "data:text/javascript,1",
        "blob:https://kernels.example/1",
        "ftp://cdn.example/x",
      ]
    ) assertEquals(await led(start, to), "KW-REF-ESCAPES", to);
    assertEquals(await led(start, "https://[nonsense/"), "KW-REF-FETCH");
  });

  it("to another public address is followed, and so is one within what the user named", async () => {
    for (
      const [from, to] of [
        [start, "https://cdn.example/kernel.js"],
        [start, "https://kernels.example/v1/kernel.js"],
        [start, "/v1/kernel.js"],
        [start, "https://unknown.example/kernel.js"],
        [start, "https://[2606:2800:220:1::1]/kernel.js"],
        [start, "https://8.8.8.8/kernel.js"],
        [start, "https://172.32.0.1/"],
        [start, "https://100.128.0.1/"],
        [start, "https://11.0.0.1/"],
        [start, "https://localhost.example/"],
        ["https://10.0.0.1/kernel.js", "https://10.0.0.2/kernel.js"],
        ["https://10.0.0.1/kernel.js", "https://cdn.example/kernel.js"],
        ["https://own.example/kernel.js", "https://beside.example/kernel.js"],
        ["http://127.0.0.1:1/kernel.js", "http://localhost:2/kernel.js"],
        ["http://localhost./kernel.js", "http://[::1]/kernel.js"],
      ]
    ) assertEquals(await led(from, to), "followed", `${from} → ${to}`);
  });

  it("from one private place leads to no other kind of it", async () => {
    for (
      const [from, to] of [
        ["https://10.0.0.1/kernel.js", "https://127.0.0.1/"],
        ["https://10.0.0.1/kernel.js", "https://169.254.169.254/"],
        ["http://127.0.0.1/kernel.js", "https://10.0.0.1/"],
        ["http://127.0.0.1/kernel.js", "http://10.0.0.1/"],
        ["https://169.254.1.1/kernel.js", "https://169.254.169.254/"],
      ]
    ) assertEquals(await led(from, to), "KW-REF-ESCAPES", `${from} → ${to}`);
  });

  it("is judged at every step, and http is begun with on this machine only", async () => {
    const steps = ["https://cdn.example/a", "https://kernels.example/b", "https://10.0.0.1/c"];
    globalThis.fetch = (() =>
      Promise.resolve(
        new Response(null, { status: 307, headers: { location: steps.shift()! } }),
      )) as typeof fetch;
    assertEquals(await code(() => fetchBytes(new URL(start), {}, { resolve })), "KW-REF-ESCAPES");
    assertEquals(steps, []);
    for (const plain of ["http://kernels.example/", "http://10.0.0.1/", "ftp://kernels.example/"]) {
      assertEquals(await code(() => fetchBytes(new URL(plain), {}, { resolve })), "KW-REF-ESCAPES", plain);
    }
  });

  it("is seen through names that are never asked for, too", async () => {
    assertEquals(placeOf(new URL("https://kernels.example/")), "public");
    assertEquals(placeOfAddress("fe80::1%eth0"), "special");
    assertEquals(placeOfAddress("no address"), "special");
    const failing = () => Promise.reject(new Error("no name server"));
    assertEquals([...await placesOf(new URL("https://kernels.example/"), failing)], ["public"]);
    assertEquals([...await placesOf(new URL("https://localhost/"), failing)], ["loopback"]);
    for (
      const odd of [
        "1.2.3.256",
        "256.2.3.4",
        "999.999.999.999",
        "1::2::3",
        "1:2:3",
        "1:2:3:4:5:6:7:8:9",
        "::12345",
        "::1.2.3.256",
      ]
    ) {
      assertEquals(placeOfAddress(odd), "special", odd);
    }
    assertEquals(placeOfAddress("1.2.3.255"), "public");
    assertEquals(placeOfAddress("2606:2800:220:1:0:0:0:1"), "public");
    const asked: string[] = [];
    const asking = (host: string) => Promise.resolve([host].filter((h) => asked.push(h) < 0));
    for (const host of ["8.8.8.8", "[2606:2800:220:1::1]", "kernels.example."]) {
      await placesOf(new URL(`https://${host}/`), asking);
    }
    assertEquals(asked, ["kernels.example"]);
  });

  it("is judged by every border of what is private", () => {
    const places = {
      public:
        "9.255.255.255 11.0.0.0 126.255.255.255 128.0.0.0 100.63.255.255 100.128.0.0 172.15.255.255 172.32.0.0 " +
        "192.167.255.255 192.169.0.0 169.253.255.255 169.255.0.0 198.17.255.255 198.20.0.0 223.255.255.255 1.0.0.0 " +
        "::ffff:8.8.8.8 ::ffff:0:8.8.8.8 ::8.8.8.8 64:ff9b::8.8.8.8 2002:808:808:: 2000::1 3ffe::1 2001:200::1 " +
        "2001:db7::1 2001:db9::1 2a00:db8::1 2a00:1::1 2003:db8::1",
      private: "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255 100.64.0.0 " +
        "100.127.255.255 ::ffff:10.0.0.1 ::ffff:0:10.0.0.1 ::10.0.0.1 64:ff9b::10.0.0.1 64:ff9b:1::8.8.8.8 " +
        "2002:a00:1:: fc00:: fdff:ffff::1 fec0::1 feff::1",
      loopback: "127.0.0.0 127.255.255.255 0.0.0.0 ::1 :: ::ffff:127.0.0.1 2002:7f00:1::",
      special:
        "0.0.0.1 0.255.255.255 169.254.0.0 169.254.255.255 192.0.0.1 192.0.2.255 192.88.99.1 198.18.0.0 " +
        "198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.0 255.255.255.255 fe80::1 febf::1 ff02::1 4000::1 1::1 " +
        "2001::1 2001:1ff::1 2001:db8::1 64:ff9a::1 65:ff9b::8.8.8.8 ::fffe:8.8.8.8 ::1:ffff:8.8.8.8 " +
        "::ffff:1:8.8.8.8 0:0:0:1:ffff:0:808:808 ::2 fe00::1",
    };
    for (const [place, addresses] of Object.entries(places)) {
      for (const address of addresses.split(" ")) assertEquals(placeOfAddress(address), place, address);
    }
  });

  it("is looked up as the system does, where that is allowed, and not asked for otherwise", async () => {
    const found = await lookUp("localhost");
    assert(found.length > 0 && found.every((a) => placeOfAddress(a) === "loopback"), found.join());
    assertEquals(await lookUp("no.such.name.invalid"), []);
    const address = new URL("../../sdk/host/address.ts", import.meta.url).href;
    const program = `const { lookUp } = await import(${
      JSON.stringify(address)
    }); console.log(await lookUp("localhost"));`;
    const script = Deno.makeTempFileSync({ suffix: ".ts" });
    try {
      Deno.writeTextFileSync(script, program);
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-prompt", "--no-check", "--allow-read", script],
      }).output();
      assertEquals(new TextDecoder().decode(stdout).trim(), "[]");
    } finally {
      Deno.removeSync(script);
    }
  });
});

describe("a kernels.json from an address", () => {
  const serving = async (
    answer: (url: URL) => Response | Promise<Response>,
    run: (base: string) => Promise<void>,
  ) => {
    const stop = new AbortController();
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {}, signal: stop.signal },
      (request) => answer(new URL(request.url)),
    );
    try {
      await run(`http://127.0.0.1:${server.addr.port}/kernels.json`);
    } finally {
      stop.abort();
      await server.finished.catch(() => {});
    }
  };
  const endless = () => {
    const piece = new TextEncoder().encode(" ".repeat(65536));
    return new ReadableStream({ pull: (c) => c.enqueue(piece) });
  };

  it("is read, and one that is not there is told", async () => {
    const answer = ({ pathname }: URL) =>
      pathname === "/kernels.json" ? Response.json({ kernels: [] }) : new Response("none", { status: 404 });
    await serving(answer, async (url) => {
      assertEquals((await readKernelConfig(url)).config, { kernels: [] });
      assertEquals(await code(() => readKernelConfig(`${url}.none`)), "KW-CONFIG-KERNELS");
    });
  });

  it("without an end is cut off, however it is encoded", async () => {
    await serving(() => new Response(endless()), async (url) => {
      assertEquals(await code(() => readKernelConfig(url)), "KW-REF-LIMIT");
    });
    const zeros = new Blob([new Uint8Array(100e6)]).stream().pipeThrough(new CompressionStream("gzip"));
    const bomb = await new Response(zeros).bytes();
    const packed = () => new Response(bomb, { headers: { "content-encoding": "gzip" } });
    await serving(packed, async (url) => {
      const before = Deno.memoryUsage().rss;
      assertEquals(await code(() => readKernelConfig(url)), "KW-REF-LIMIT");
      assert(Deno.memoryUsage().rss - before < 200e6, "it took too much memory");
    });
    await serving(() => new Response("{}", { headers: { "content-length": "300000000" } }), async (url) => {
      assert((await code(() => readKernelConfig(url))).startsWith("KW-"));
    });
  });

  it("of this machine that is far too large is not read", async () => {
    const file = Deno.makeTempFileSync({ suffix: ".json" });
    try {
      Deno.truncateSync(file, 300e6);
      assertEquals(await code(() => readKernelConfig(file)), "KW-REF-LIMIT");
    } finally {
      Deno.removeSync(file);
    }
  });

  it("that leads elsewhere is refused", async () => {
    const away = () =>
      new Response(null, { status: 302, headers: { location: "http://192.0.2.1/kernels.json" } });
    await serving(
      away,
      async (url) => assertEquals(await code(() => readKernelConfig(url)), "KW-REF-ESCAPES"),
    );
  });
});

describe("a file that is packed", () => {
  it("in a form that is not undone is refused, with the form", async () => {
    const bytes = new Uint8Array([1, 2, 3]);
    let form = "zstd";
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => new Response(bytes, { headers: { "content-encoding": form } }),
    );
    const url = new URL(`http://127.0.0.1:${server.addr.port}/kernel.js`);
    for (form of ["zstd", "compress", "gzip, gzip"]) {
      const error = await assertRejects(() => fetchBytes(url), KernelwrightError, JSON.stringify(form));
      assertEquals(error.code, "KW-REF-FETCH");
    }
    form = "identity";
    assertEquals(await fetchBytes(url), bytes);
    await server.shutdown();
  });
});
