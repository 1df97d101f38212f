/** Fetching from a stranger: bounded in time, bytes and redirects, and never from a place that it must not reach. */
import { checkArgument, checkInstance } from "../arguments.ts";
import { KernelwrightError, raise } from "../errors.ts";

/** How much a server may take. */
export interface FetchLimits {
  /** Milliseconds for a whole file, redirects included; 20,000 unless told. */
  readonly timeout?: number;
  /** Bytes of a file; 16 MiB unless told. */
  readonly maxBytes?: number;
  /** Redirects; 5 unless told. */
  readonly maxRedirects?: number;
}

/** What a request says. */
export interface FetchRequest {
  /** The address that the user gave, where another led to this one; the same otherwise. */
  readonly from?: URL;
  /** The form that is asked for. */
  readonly accept?: string;
}

/**
 * Fetches a file.
 *
 * @throws KW-REF-FETCH, KW-REF-LIMIT; KW-REF-ESCAPES for a URL or a redirect that is neither https nor, from the start,
 * http on this machine.
 */
export async function fetchBytes(
  url: URL,
  limits: FetchLimits = {},
  request: FetchRequest = {},
): Promise<Uint8Array<ArrayBuffer>> {
  checkInstance("fetchBytes(): url", url, URL);
  checkArgument("fetchBytes(): limits", limits, "an object");
  checkArgument("fetchBytes(): request", request, "an object");
  const { timeout = 20_000, maxBytes = 16 * 1024 * 1024, maxRedirects = 5 } = limits;
  const where = { file: url.href };
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeout);
  try {
    const response = await follow(url, maxRedirects, stop.signal, request);
    const announced = Number(response.headers.get("content-length") ?? 0);
    if (announced > maxBytes) tooLarge(announced, maxBytes, where);
    return await readBounded(response.body ?? [], maxBytes, where);
  } catch (cause) {
    if (cause instanceof KernelwrightError) throw cause;
    if (stop.signal.aborted) {
      raise("KW-REF-LIMIT", `No answer within ${timeout} ms`, "Try again later.", where, cause);
    }
    raise("KW-REF-FETCH", `Cannot fetch ${url.href}: ${String(cause)}`, undefined, where, cause);
  } finally {
    clearTimeout(timer);
    stop.abort(); // whatever is still coming
  }
}

/**
 * All of a stream, unless it is too long.
 *
 * @throws KW-REF-LIMIT
 */
export async function readBounded(
  stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  maxBytes: number,
  where: { readonly file: string },
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  let total = 0;
  for await (const piece of stream) {
    total += piece.length;
    if (total > maxBytes) tooLarge(total, maxBytes, where); // the loop's end cancels the rest
    pieces.push(piece);
  }
  const all = new Uint8Array(total);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

// ---------------------------------------------------------------------------

async function follow(
  first: URL,
  maxRedirects: number,
  signal: AbortSignal,
  { from: start = first, accept = "*/*" }: FetchRequest,
): Promise<Response> {
  let url = first;
  checkPlace(url, start);
  for (let hops = 0; hops <= maxRedirects; hops++) {
    const response = await fetch(url, { redirect: "manual", signal, headers: { accept } });
    if (response.type === "opaqueredirect") { // a page is not told where to
      raise(
        "KW-REF-FETCH",
        "The server redirects, and a page cannot see where to",
        "Give the last address.",
        {
          file: url.href,
        },
      );
    }
    if (response.status < 300 || response.status >= 400) {
      if (response.ok) return response;
      await response.body?.cancel();
      raise("KW-REF-FETCH", `The server answered ${response.status}`, undefined, { file: url.href });
    }
    await response.body?.cancel();
    const location = response.headers.get("location");
    if (!location) raise("KW-REF-FETCH", "The server redirects to nowhere", undefined, { file: url.href });
    url = new URL(location, url);
    checkPlace(url, start);
  }
  raise("KW-REF-LIMIT", `The server redirected more than ${maxRedirects} times`, undefined, {
    file: start.href,
  });
}

/** https anywhere; http only on this machine, and only where the user began there. */
function checkPlace(url: URL, start: URL): void {
  if (url.protocol === "https:" && (!isLoopback(url) || isLoopback(start))) return;
  if (url.protocol === "http:" && isLoopback(url) && isLoopback(start)) return;
  raise(
    "KW-REF-ESCAPES",
    url === start ? `Cannot fetch ${url.href}` : `${start.href} leads to ${url.href}`,
    "Kernels come over https.",
    { file: start.href },
  );
}

function isLoopback(url: URL): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
}

function tooLarge(bytes: number, maxBytes: number, where: { file: string }): never {
  return raise(
    "KW-REF-LIMIT",
    `The file is larger than ${maxBytes} bytes (${bytes} or more)`,
    undefined,
    where,
  );
}
