import { checkInstance } from "../../arguments.ts";
import { boundedFetch, type BoundedResponse, FetchBoundError, messageOf } from "../../host/mod.ts";
import { KernelwrightError, raise } from "../../errors.ts";
import { blobSource, bytesSource, type Source } from "./source.ts";

/** Small reads, as of a header and of norms, fetch this much, so that the next ones are there already. */
const AHEAD = 256 * 1024;

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
 */
export async function urlSource(url: URL): Promise<Source | undefined> {
  checkInstance("urlSource(): url", url, URL);
  const stop = new AbortController();
  const asked = await request(url, 0, AHEAD, stop.signal);
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
  if (status !== 206 || part?.size === undefined) {
    // A part of unknown size, as where another site hides the header, is no more of use than none.
    const whole = status === 206 ? await fetchWhole(url, asked, stop.signal) : asked;
    const bytes = await reading(url, () => whole.bytes(Math.min(most, decodedMost(whole.response))));
    return blobSource(new Blob([bytes]), url.href);
  }
  if (part.size > most) {
    asked.cancel();
    await reading(url, () => {
      throw new FetchBoundError("bytes", `it has ${part.size} bytes, and at most ${most} are read`);
    });
  }
  const bytes = reading(url, () => asked.bytes(AHEAD));
  return new UrlSource(url, part.size, headers.get("etag"), stop, {
    from: 0,
    to: Math.min(AHEAD, part.to),
    bytes,
  });
}

type Bytes = Uint8Array<ArrayBuffer>;

interface Part {
  readonly from: number;
  readonly to: number;
  readonly bytes: Promise<Bytes>;
}

const NONE: Part = { from: 0, to: 0, bytes: Promise.resolve(new Uint8Array(0)) };

class UrlSource implements Source {
  readonly name: string;
  readonly size: number;
  readonly #url: URL;
  readonly #tag: string | null;
  readonly #stop: AbortController;
  #ahead: Part;

  constructor(url: URL, size: number, tag: string | null, stop: AbortController, ahead: Part) {
    [this.#url, this.name, this.size, this.#tag, this.#stop] = [url, url.href, size, tag, stop];
    this.#ahead = ahead;
    this.#forgetIfLost(ahead);
  }

  async read(offset: number, length: number): Promise<Bytes> {
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

  async #fetch(from: number, to: number): Promise<Bytes> {
    const asked = await request(this.#url, from, to, this.#stop.signal);
    const { response } = asked;
    const part = partOf(response);
    const same = part?.from === from && part.size === this.size && response.headers.get("etag") === this.#tag;
    if (response.status === 206 && same) {
      const bytes = await reading(this.#url, () => asked.bytes(to - from));
      // A server may send less than it was asked for, but something.
      if (bytes.length >= to - from) return bytes;
      if (bytes.length > 0) return joined(bytes, await this.#fetch(from + bytes.length, to));
    }
    if (!response.ok) refuse(this.#url, asked);
    asked.cancel();
    raise("KW-CHECKPOINT-OPEN", "The file has changed while it was read", "Load it again.", {
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
  return asked.response.ok ? asked : refuse(url, asked);
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

function joined(a: Bytes, b: Bytes): Bytes {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** What a `content-range: bytes 0-99/1000` says: the part from 0 to 100 of 1000. */
function partOf({ headers }: Response): { from: number; to: number; size: number } | undefined {
  const [, from, last, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get("content-range") ?? "") ?? [];
  return size === undefined ? undefined : { from: Number(from), to: Number(last) + 1, size: Number(size) };
}

function refuse(url: URL, { response, cancel }: BoundedResponse): never {
  cancel();
  raise("KW-CHECKPOINT-OPEN", `Cannot read the file: the server answered ${response.status}`, undefined, {
    file: url.href,
  });
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
