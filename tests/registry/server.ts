/** A server on this machine with good files and bad manners. @module */

/** What is served, and how to reach it. */
export interface TestServer {
  /** Ends with a slash. */
  url: string;
  /** Files by path without the first slash. */
  files: Map<string, Uint8Array<ArrayBuffer>>;
  /** Requests so far. */
  requests: string[];
  /** Stops it. */
  close(): Promise<void>;
}

/** Starts it: `/hang/…` never answers, `/loop/…` redirects for ever, `/away/…` redirects elsewhere, `/flood/…` sends a GB. */
export function serve(): TestServer {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const requests: string[] = [];
  const stop = new AbortController();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, signal: stop.signal },
    (request) => {
      const url = new URL(request.url);
      const path = url.pathname.slice(1);
      requests.push(path);
      if (path.startsWith("hang/")) return new Promise<Response>(() => {});
      if (path.startsWith("drip/")) return new Response(drip());
      if (path.startsWith("loop/")) return redirect(`${url.pathname}x`);
      if (path.startsWith("away/")) return redirect("http://192.0.2.1/kernel.json");
      if (path.startsWith("flood/")) return new Response(flood());
      const file = files.get(path);
      return file ? new Response(file) : new Response("none", { status: 404 });
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    files,
    requests,
    close: async () => {
      stop.abort();
      await server.finished.catch(() => {});
    },
  };
}

function redirect(location: string): Response {
  return new Response(null, { status: 302, headers: { location } });
}

/** 1 GB, a MiB at a time, without saying how much it will be. */
function flood(): ReadableStream<Uint8Array> {
  let left = 1024;
  const piece = new Uint8Array(1024 * 1024);
  return new ReadableStream({
    pull(controller) {
      if (left-- > 0) controller.enqueue(piece);
      else controller.close();
    },
  });
}

/** A byte now and then: an answer that never ends. */
function drip(): ReadableStream<Uint8Array> {
  let timer: ReturnType<typeof setInterval>;
  return new ReadableStream({
    start(controller) {
      timer = setInterval(() => controller.enqueue(new Uint8Array(1)), 50);
    },
    cancel: () => clearInterval(timer),
  });
}
