import { checkInstance } from "../arguments.ts";
import { raise } from "../errors.ts";
import { messageOf } from "./files.ts";
import { blobSource, bytesSource, type Source } from "./source.ts";

/** Small reads, as of a header and of norms, fetch this much, so that the next ones are there already. */
const AHEAD = 256 * 1024;

/**
 * What servers answer where there is nothing: object stores say 403 to who may not list, which is not told from a file
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
  const first = await request(url, 0, AHEAD, stop.signal);
  const source = await sourceOf(url, first, stop);
  return source && Object.assign(source, { address: first.url || url.href });
}

// ---------------------------------------------------------------------------

async function sourceOf(url: URL, first: Response, stop: AbortController): Promise<Source | undefined> {
  const { status, headers } = first;
  // A server of an application answers with its page, whatever it is asked for.
  const page = headers.get("content-type")?.startsWith("text/html") && !url.pathname.endsWith(".html");
  if (ABSENT.includes(status) || page) {
    await first.body?.cancel();
    return undefined;
  }
  if (status === 416) { // an empty file has no first byte
    await first.body?.cancel();
    return bytesSource(new Uint8Array(0), url.href);
  }
  if (!first.ok) await refuse(url, first);
  const part = partOf(first);
  if (status !== 206 || part?.size === undefined) {
    // A part of unknown size, as where another site hides the header, is no more of use than none.
    const whole = status === 206 ? await anew(url, first, stop.signal) : first;
    return blobSource(await reading(url, () => whole.blob()), url.href);
  }
  const bytes = reading(url, async () => new Uint8Array(await first.arrayBuffer()));
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
    const response = await request(this.#url, from, to, this.#stop.signal);
    const part = partOf(response);
    const same = part?.from === from && part.size === this.size && response.headers.get("etag") === this.#tag;
    if (response.status === 206 && same) {
      const bytes = await reading(this.#url, async () => new Uint8Array(await response.arrayBuffer()));
      // A server may send less than it was asked for, but something.
      if (bytes.length >= to - from) return bytes;
      if (bytes.length > 0) return joined(bytes, await this.#fetch(from + bytes.length, to));
    }
    if (!response.ok) await refuse(this.#url, response);
    await response.body?.cancel();
    raise("KW-CHECKPOINT-OPEN", "The file has changed while it was read", "Load it again.", {
      file: this.name,
      byte: from,
    });
  }
}

function request(url: URL, from: number, to: number, signal: AbortSignal): Promise<Response> {
  return reading(url, () => fetch(url, { headers: { range: `bytes=${from}-${to - 1}` }, signal }));
}

async function anew(url: URL, partial: Response, signal: AbortSignal): Promise<Response> {
  await partial.body?.cancel();
  const response = await reading(url, () => fetch(url, { signal }));
  return response.ok ? response : await refuse(url, response);
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

async function refuse(url: URL, response: Response): Promise<never> {
  await response.body?.cancel();
  raise("KW-CHECKPOINT-OPEN", `Cannot read the file: the server answered ${response.status}`, undefined, {
    file: url.href,
  });
}

async function reading<T>(url: URL, fn: () => Promise<T>): Promise<T> {
  try {
    return await fn();
  } catch (cause) {
    raise(
      "KW-CHECKPOINT-OPEN",
      `Cannot read the file: ${messageOf(cause)}`,
      "Check the address; a page may read another site's files only where its server allows that (CORS).",
      { file: url.href },
      cause,
    );
  }
}
