/** A page in a headless Chromium, when there is one. @module */
import { type Asked, serveFiles, type ServeOptions } from "./file_server.ts";

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

/** What a page posted to `/result`, and what it asked for. */
export interface PageResult {
  readonly text: string;
  readonly asked: readonly Asked[];
}

/** Serves files on this machine, opens `/` in Chromium, and waits for the page's result. @param timeout Milliseconds. */
export async function openPage(
  chromium: string,
  files: Pick<ServeOptions, "read" | "ranges">,
  timeout: number,
): Promise<PageResult> {
  const result = Promise.withResolvers<string>();
  await using server = serveFiles({
    ...files,
    otherwise: async (request) => {
      if (request.method !== "POST") return new Response("none", { status: 404 });
      result.resolve(await request.text());
      return new Response("thanks");
    },
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
      server.url.href,
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    return { text: await result.promise, asked: server.asked };
  } finally {
    clearTimeout(timer);
    browser.kill("SIGTERM");
    const slow = setTimeout(() => browser.kill("SIGKILL"), 3000);
    await browser.status;
    clearTimeout(slow);
    // Its children may still be writing.
    for (let i = 0; i < 20; i++) {
      const gone = await Deno.remove(profile, { recursive: true }).then(() => true, () => false);
      if (gone) break;
      await new Promise((done) => setTimeout(done, 100));
    }
  }
}
