import { throwIfAborted } from "../../abort.ts";
import { checkArgument, checkInstance } from "../../arguments.ts";
import {
  boundedFetch,
  type BoundedResponse,
  FetchBoundError,
  isPlain,
  messageOf,
  packedAs,
} from "../../host/mod.ts";
import { KernelwrightError, raise } from "../../errors.ts";
import { blobSource, bytesSource, type Source } from "./source.ts";

/** Small reads, as of a header and of norms, fetch this much, so that the next ones are there already. */
const AHEAD = 256 * 1024;

/** An answer of fewer bytes, where more were asked for, is no way to read a file. */
const LEAST = 1024;

/**
 * What servers answer where there is nothing: object stores answer 403 where listing is forbidden, as for a file
 * that may not be read.
 */
const ABSENT = [403, 404, 410];

/**
 * A source over an address. Only what is read is fetched, where the server knows ranges; where it does not, all of it
 * is fetched at once and kept as the `Blob` that the browser makes of it.
 *
 * @returns Undefined where the server has no such file.
 * @throws KW-CHECKPOINT-OPEN for an address that cannot be reached, and for a file that changes while it is read.
 *
 * @example
 * ```ts
 * import { urlSource } from "@kernelwright/sdk/checkpoint";
 * import { assertEquals } from "@std/assert";
 *
 * const here = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
 * const files = Deno.serve(here, () => new Response("abcdef"));
 * const source = await urlSource(new URL(`http://127.0.0.1:${files.addr.port}/letters.txt`));
 * assertEquals(new TextDecoder().decode(await source?.read(2, 3)), "cde");
 * await source?.close?.();
 * await files.shutdown();
 * ```
 */
export async function urlSource(
  url: URL,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Source | undefined> {
  checkInstance("urlSource(): url", url, URL);
  checkArgument("urlSource(): options", options, "an object");
  return await orCancelled(options.signal, () => open(url, options.signal));
}

async function open(url: URL, signal: AbortSignal | undefined): Promise<Source | undefined> {
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const asked = await request(url, 0, AHEAD, either);
  const { status, headers, ok } = asked.response;
  // A server of an application answers with its page, whatever it is asked for.
  const page = headers.get("content-type")?.startsWith("text/html") && !url.pathname.endsWith(".html");
  if (ABSENT.includes(status) || page) {
    asked.cancel();
    return undefined;
  }
  if (status === 416) { // an empty file has no first byte
    asked.cancel();
    return bytesSource(new Uint8Array(0), url.href);
  }
  if (!ok) refuse(url, asked);
  const part = partOf(asked.response);
  const most = mostBytes(url);
  if (status !== 206 || part?.from !== 0) {
    // A part of unknown size, as where another site hides the header, is no more of use than none; nor is one of a file
    // that is packed.
    const whole = status === 206 || !isPlain(asked.response) ? await fetchWhole(url, asked, either) : asked;
    const bytes = await reading(url, () => whole.bytes(Math.min(most, decodedMost(whole.response))));
    return blobSource(new Blob([bytes]), url.href);
  }
  if (part.size > most) {
    asked.cancel();
    await reading(url, () => {
      throw new FetchBoundError("bytes", `it has ${part.size} bytes, and at most ${most} are read`);
    });
  }
  return new UrlSource(url, { size: part.size, tag: headers.get("etag"), first: asked, stop, signal });
}

type Bytes = Uint8Array<ArrayBuffer>;

interface Part {
  readonly from: number;
  readonly to: number;
  readonly bytes: Promise<Bytes>;
}

const NONE: Part = { from: 0, to: 0, bytes: Promise.resolve(new Uint8Array(0)) };

interface Opened {
  readonly size: number;
  readonly tag: string | null;
  /** What was answered when the file's beginning was asked for. */
  readonly first: BoundedResponse;
  /** Ends what is on its way. */
  readonly stop: AbortController;
  /** The caller's. */
  readonly signal?: AbortSignal;
}

class UrlSource implements Source {
  readonly name: string;
  readonly size: number;
  readonly #url: URL;
  readonly #tag: string | null;
  readonly #stop: AbortController;
  readonly #signal: AbortSignal | undefined;
  readonly #either: AbortSignal;
  #ahead: Part;

  constructor(url: URL, { size, tag, first, stop, signal }: Opened) {
    [this.#url, this.name, this.size, this.#tag, this.#stop] = [url, url.href, size, tag, stop];
    [this.#signal, this.#either] = [signal, signal ? AbortSignal.any([signal, stop.signal]) : stop.signal];
    const to = Math.min(size, AHEAD);
    this.#ahead = { from: 0, to, bytes: this.#fetch(0, to, first) };
    this.#forgetIfLost(this.#ahead);
  }

  read(offset: number, length: number): Promise<Bytes> {
    return orCancelled(this.#signal, () => this.#read(offset, length));
  }

  async #read(offset: number, length: number): Promise<Bytes> {
    const end = Math.min(this.size, offset + length);
    if (offset >= end) return new Uint8Array(0);
    if (end - offset > AHEAD) return await this.#fetch(offset, end);
    if (offset < this.#ahead.from || end > this.#ahead.to) {
      const to = Math.min(this.size, offset + AHEAD);
      this.#ahead = { from: offset, to, bytes: this.#fetch(offset, to) };
      this.#forgetIfLost(this.#ahead);
    }
    const { from, bytes } = this.#ahead;
    return (await bytes).slice(offset - from, end - from);
  }

  async reopen(): Promise<Source> {
    return await urlSource(this.#url) ?? raise(
      "KW-CHECKPOINT-OPEN",
      "The file is not there any more",
      undefined,
      { file: this.name },
    );
  }

  close(): Promise<void> {
    this.#stop.abort();
    this.#ahead = NONE;
    return Promise.resolve();
  }

  /** The next read asks again; and nobody may ever read, so that a failure must not be nobody's. */
  #forgetIfLost(ahead: Part): void {
    ahead.bytes.catch(() => {
      if (this.#ahead === ahead) this.#ahead = NONE;
    });
  }

  /** @param answer What was answered to the first request, where it was made before. */
  async #fetch(from: number, to: number, answer?: BoundedResponse): Promise<Bytes> {
    const pieces: Bytes[] = [];
    for (let at = from; at < to;) {
      const asked = answer ?? await request(this.#url, at, to, this.#either);
      answer = undefined;
      const bytes = await this.#answered(asked, at, to);
      pieces.push(bytes);
      at += bytes.length;
      // A server may send less than it was asked for, but something.
      if (at < to && bytes.length < LEAST) {
        await reading(this.#url, () => {
          const what = `the server sends ${bytes.length} of ${to - at + bytes.length} bytes at a time`;
          throw new FetchBoundError("bytes", what);
        });
      }
    }
    return pieces.length === 1 ? pieces[0] : joined(pieces);
  }

  async #answered(asked: BoundedResponse, from: number, to: number): Promise<Bytes> {
    const { response } = asked;
    const part = partOf(response);
    const same = part?.from === from && part.size === this.size && response.headers.get("etag") === this.#tag;
    if (response.status === 206 && same) return await reading(this.#url, () => asked.bytes(to - from));
    if (!response.ok) refuse(this.#url, asked);
    asked.cancel();
    return raise("KW-CHECKPOINT-OPEN", "The file has changed while it was read", "Load it again.", {
      file: this.name,
      byte: from,
    });
  }
}

function request(url: URL, from: number, to: number, signal: AbortSignal): Promise<BoundedResponse> {
  return reading(url, () => boundedFetch(url, { headers: { range: `bytes=${from}-${to - 1}` } }, { signal }));
}

async function fetchWhole(url: URL, partial: BoundedResponse, signal: AbortSignal): Promise<BoundedResponse> {
  partial.cancel();
  const asked = await reading(url, () => boundedFetch(url, {}, { signal }));
  if (asked.response.status !== 200) refuse(url, asked);
  const form = packedAs(asked.response);
  if (form === undefined) return asked;
  asked.cancel();
  return raise(
    "KW-CHECKPOINT-OPEN",
    `Cannot read the file: the server packs it as ${JSON.stringify(form)}, which is not undone here`,
    "Download it, and give its path.",
    { file: url.href },
  );
}

/** Weights may have any size; a config has a few kilobytes, and the largest index or tokenizer less than 100 MB. */
function mostBytes({ pathname, protocol }: URL): number {
  if (!/^https?:$/.test(protocol) || !pathname.endsWith(".json")) return Infinity;
  return /\/(config|kernels|generation_config)\.json$/.test(pathname) ? 16_000_000 : 100_000_000;
}

/** What is packed may unpack to far more than was sent; weights hardly do. */
function decodedMost({ headers }: Response): number {
  if (headers.get("content-encoding") === null) return Infinity;
  return Math.max(16_000_000, 16 * Number(headers.get("content-length") ?? 0));
}

function joined(pieces: readonly Bytes[]): Bytes {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** What a `content-range: bytes 0-99/1000` says: a part from 0 on of 1000. Of a packed file no part can be read. */
function partOf(response: Response): { from: number; size: number } | undefined {
  if (!isPlain(response)) return undefined;
  const said = response.headers.get("content-range") ?? "";
  const [, from, size] = /^bytes (\d+)-\d+\/(\d+)$/.exec(said) ?? [];
  return size === undefined ? undefined : { from: Number(from), size: Number(size) };
}

function refuse(url: URL, { response, cancel }: BoundedResponse): never {
  cancel();
  raise("KW-CHECKPOINT-OPEN", `Cannot read the file: the server answered ${response.status}`, undefined, {
    file: url.href,
  });
}

/** What fails since it was cancelled says so. */
async function orCancelled<T>(signal: AbortSignal | undefined, fn: () => Promise<T>): Promise<T> {
  try {
    return await fn();
  } catch (error) {
    throwIfAborted(signal, "reading");
    throw error;
  }
}

async function reading<T>(url: URL, fn: () => Promise<T>): Promise<T> {
  try {
    return await fn();
  } catch (cause) {
    if (cause instanceof KernelwrightError) throw cause;
    if (cause instanceof FetchBoundError) {
      raise(
        "KW-CHECKPOINT-OPEN",
        `Cannot read the file: ${cause.message}`,
        "Download it, and give its path.",
        {
          file: url.href,
        },
        cause,
      );
    }
    raise(
      "KW-CHECKPOINT-OPEN",
      `Cannot read the file: ${messageOf(cause)}`,
      "Check the address; a page may read another site's files only where its server allows that (CORS).",
      { file: url.href },
      cause,
    );
  }
}
