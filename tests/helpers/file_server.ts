/** Serves files on this machine, with or without ranges, and remembers what it was asked for. @module */

/** One request and how it was answered. */
export interface Asked {
  readonly path: string;
  readonly range: string | null;
  readonly status: number;
}

/** A server that is running. */
export interface FileServer extends AsyncDisposable {
  /** `http://127.0.0.1:…/`. */
  readonly url: URL;
  /** Every request, in order. */
  readonly asked: Asked[];
}

/** How files are served. */
export interface ServeOptions {
  /** The bytes at a path; undefined where there is nothing. */
  readonly read: (path: string) => Uint8Array<ArrayBuffer> | undefined;
  /** Whether ranges are served; defaults to true. */
  readonly ranges?: boolean | ((path: string) => boolean);
  /** Headers of every answer. */
  readonly headers?: () => Readonly<Record<string, string>>;
  /** Answers what is not a file. */
  readonly otherwise?: (request: Request) => Promise<Response> | Response;
}

/** Starts a server on a free port. */
export function serveFiles({ read, ranges = true, headers, otherwise }: ServeOptions): FileServer {
  const asked: Asked[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const path = decodeURIComponent(new URL(request.url).pathname);
    const bytes = request.method === "GET" ? read(path) : undefined;
    const inRanges = typeof ranges === "boolean" ? ranges : ranges(path);
    const response = bytes === undefined
      ? await otherwise?.(request) ?? new Response("none", { status: 404 })
      : answer(bytes, inRanges ? request.headers.get("range") : null, typeOf(path));
    for (const [name, value] of Object.entries(headers?.() ?? {})) response.headers.set(name, value);
    asked.push({ path, range: request.headers.get("range"), status: response.status });
    return response;
  });
  return {
    url: new URL(`http://127.0.0.1:${server.addr.port}/`),
    asked,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** The bytes of a file below a folder; undefined where there is none. */
export function fileBelow(folder: string, path: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Deno.readFileSync(`${folder}/${path}`);
  } catch {
    return undefined;
  }
}

// ---------------------------------------------------------------------------

function answer(bytes: Uint8Array<ArrayBuffer>, range: string | null, type: string): Response {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
  if (first === undefined) return new Response(bytes, { headers: { "content-type": type } });
  const [from, to] = [Number(first), Math.min(Number(last) + 1, bytes.length)];
  if (from >= bytes.length) {
    return new Response(null, { status: 416, headers: { "content-range": `bytes */${bytes.length}` } });
  }
  return new Response(bytes.subarray(from, to), {
    status: 206,
    headers: { "content-type": type, "content-range": `bytes ${from}-${to - 1}/${bytes.length}` },
  });
}

function typeOf(path: string): string {
  if (path.endsWith("/") || path.endsWith(".html")) return "text/html";
  if (path.endsWith(".js")) return "text/javascript";
  return path.endsWith(".json") ? "application/json" : "application/octet-stream";
}
