/** Fetching from a stranger: bounded in time, bytes and redirects, and never from a place that it must not reach. */
import { type Place, placeOf, placesOf, type Resolve } from "./address.ts";
import { packedAs } from "./bounded_fetch.ts";
import { checkArgument, checkInstance } from "../arguments.ts";
import { KernelwrightError, raise } from "../errors.ts";

/** How much a server may take. */
export interface FetchLimits {
  /** Milliseconds for a whole file, redirects included; defaults to 20,000. */
  readonly timeout?: number;
  /** Bytes of a file; defaults to 16 MiB. */
  readonly maxBytes?: number;
  /** Redirects; defaults to 5. */
  readonly maxRedirects?: number;
}

/** What a request says. */
export interface FetchRequest {
  /** The address that the user gave, where another led to this one; the same otherwise. */
  readonly from?: URL;
  /** The form that is asked for. */
  readonly accept?: string;
  /** Whether the user may begin with http elsewhere than on this machine. */
  readonly plain?: boolean;
  /** Gives the file up. What is thrown then is for who asks to say. */
  readonly signal?: AbortSignal;
  /** Finds a name's addresses; asks the system by default. */
  readonly resolve?: Resolve;
}

/** What came of an address. */
export interface Fetched {
  /** The file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where it was found in the end. */
  readonly address: URL;
}

/**
 * {@linkcode fetchFile}, without where the file was found.
 *
 * @example
 * ```ts
 * import { fetchBytes } from "@kernelwright/sdk/registry";
 * import { assertEquals } from "@std/assert";
 *
 * const here = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
 * const files = Deno.serve(here, () => new Response("code"));
 * const url = new URL(`http://127.0.0.1:${files.addr.port}/kernel.js`);
 * assertEquals((await fetchBytes(url, { maxBytes: 1024 })).length, 4);
 * await files.shutdown();
 * ```
 */
export async function fetchBytes(
  url: URL,
  limits?: FetchLimits,
  request?: FetchRequest,
): Promise<Uint8Array<ArrayBuffer>> {
  return (await fetchFile(url, limits, request)).bytes;
}

/**
 * Fetches a file: over https, or http on this machine where the user began there. A redirect leads to a private or
 * otherwise special place only where the user's own address is of such a place, and never to one with a user and a
 * password. What is counted is what a Content-Encoding unpacks to.
 *
 * @throws KW-REF-FETCH, KW-REF-LIMIT; KW-REF-ESCAPES for a URL or a redirect that must not be followed.
 */
export async function fetchFile(
  url: URL,
  limits: FetchLimits = {},
  request: FetchRequest = {},
): Promise<Fetched> {
  checkInstance("fetchFile(): url", url, URL);
  checkArgument("fetchFile(): limits", limits, "an object");
  checkArgument("fetchFile(): request", request, "an object");
  const { timeout = 20_000, maxBytes = 16 * 1024 * 1024, maxRedirects = 5 } = limits;
  const where = { file: url.href };
  const stop = new AbortController();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    stop.abort();
  }, timeout);
  const signal = request.signal ? AbortSignal.any([request.signal, stop.signal]) : stop.signal;
  try {
    const response = await follow(url, maxRedirects, signal, request);
    const form = packedAs(response);
    if (form !== undefined) {
      const what = `The server packs the file as ${JSON.stringify(form)}, which is not undone here`;
      raise("KW-REF-FETCH", what, undefined, where);
    }
    const announced = Number(response.headers.get("content-length") ?? 0);
    if (announced > maxBytes) tooLarge(announced, maxBytes, where);
    const bytes = await readBounded(response.body ?? [], maxBytes, where);
    return { bytes, address: new URL(response.url || url) };
  } catch (cause) {
    if (cause instanceof KernelwrightError) throw cause;
    if (late) {
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
  request: FetchRequest,
): Promise<Response> {
  const { from: start = first, accept = "*/*" } = request;
  let url = first;
  await checkPlace(url, start, request);
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
    if (!URL.canParse(location, url)) {
      raise(
        "KW-REF-FETCH",
        `The server redirects to ${JSON.stringify(location)}, which is not an address`,
        undefined,
        {
          file: url.href,
        },
      );
    }
    url = new URL(location, url);
    await checkPlace(url, start, request);
  }
  raise("KW-REF-LIMIT", `The server redirected more than ${maxRedirects} times`, undefined, {
    file: start.href,
  });
}

/** https, or http where the user began with it on this machine; and where it leads to is as open as where they began. */
async function checkPlace(url: URL, start: URL, { plain, resolve }: FetchRequest): Promise<void> {
  const home = placeOf(url) === "loopback" && placeOf(start) === "loopback";
  const asked = plain && start.protocol === "http:";
  const spoken = url.protocol === "https:" || (url.protocol === "http:" && (home || asked));
  if (!spoken) escapes(url, start, "Kernels come over https.");
  if (url.href === start.href) return;
  if (url.username !== "" || url.password !== "") {
    escapes(url, start, "No redirect takes a user and a password along.");
  }
  if (url.hostname === start.hostname) return;
  const within = await placesOf(start, resolve);
  const open = (place: Place) => place === "public" || (place !== "special" && within.has(place));
  if ([...await placesOf(url, resolve)].every(open)) return;
  escapes(
    url,
    start,
    "That is an address of this machine or of its network: name it yourself if it is meant.",
  );
}

function escapes(url: URL, start: URL, fix: string): never {
  const shown = new URL(url);
  if (shown.password !== "") shown.password = "…";
  return raise(
    "KW-REF-ESCAPES",
    url.href === start.href ? `Cannot fetch ${shown.href}` : `${start.href} leads to ${shown.href}`,
    fix,
    { file: start.href },
  );
}

function tooLarge(bytes: number, maxBytes: number, where: { file: string }): never {
  return raise(
    "KW-REF-LIMIT",
    `The file is larger than ${maxBytes} bytes (${bytes} or more)`,
    undefined,
    where,
  );
}
