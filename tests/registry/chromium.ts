/** A page in a headless Chromium, when there is one. @module */

/** Chromium's usual places, or the file that `CHROMIUM` names. */
export function findChromium(): string | undefined {
  const named = Deno.env.get("CHROMIUM");
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  const usual = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  const candidates = named !== undefined ? [named] : usual.flatMap((n) => folders.map((f) => `${f}/${n}`));
  return candidates.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/**
 * Serves files on this machine, opens `/` in Chromium, and returns what the page posts to `/result`.
 *
 * @param files By path: content type and text. @param timeout Milliseconds.
 */
export async function openPage(
  chromium: string,
  files: ReadonlyMap<string, readonly [type: string, text: string]>,
  timeout: number,
): Promise<string> {
  const result = Promise.withResolvers<string>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const path = new URL(request.url).pathname;
    if (path === "/result" && request.method === "POST") {
      result.resolve(await request.text());
      return new Response("thanks");
    }
    const [type, text] = files.get(path) ?? ["", undefined];
    return text === undefined
      ? new Response("none", { status: 404 })
      : new Response(text, { headers: { "content-type": type } });
  });
  const profile = await Deno.makeTempDir({ prefix: "kernelwright-chromium-" });
  const timer = setTimeout(
    () => result.reject(new TypeError(`the page said nothing in ${timeout} ms`)),
    timeout,
  );
  const browser = new Deno.Command(chromium, {
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--user-data-dir=${profile}`,
      // Software WebGPU, which needs no GPU and is part of Chromium.
      "--enable-unsafe-webgpu",
      "--use-webgpu-adapter=swiftshader",
      `http://127.0.0.1:${server.addr.port}/`,
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    return await result.promise;
  } finally {
    clearTimeout(timer);
    browser.kill("SIGTERM");
    const slow = setTimeout(() => browser.kill("SIGKILL"), 3000);
    await browser.status;
    clearTimeout(slow);
    await server.shutdown();
    // Its children may still be writing.
    for (let i = 0; i < 20; i++) {
      const gone = await Deno.remove(profile, { recursive: true }).then(() => true, () => false);
      if (gone) break;
      await new Promise((done) => setTimeout(done, 100));
    }
  }
}
