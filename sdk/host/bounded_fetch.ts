/** What a server may take: time until it answers, time for each part, and bytes once they are decoded. */
import { hasFiles } from "./files.ts";

/** How much a server may take. */
export interface FetchBounds {
  /** Milliseconds until the headers are there; 30,000 by default. */
  readonly headersTimeout?: number;
  /** Milliseconds in which the body must bring {@linkcode LEAST} bytes more, or its end; 30,000 by default. */
  readonly idleTimeout?: number;
  /** The most bytes of the body, counted after `Content-Encoding` is undone; no limit by default. */
  readonly maxBytes?: number;
  /** Stops everything. */
  readonly signal?: AbortSignal;
}

/** A limit of {@linkcode FetchBounds} was passed. Who fetches makes an error with its own code of it. */
export class FetchBoundError extends Error {
  /** The error's name, `FetchBoundError`. */
  override readonly name = "FetchBoundError";
  /** What was too much. */
  readonly bound: "time" | "bytes";

  /** @param bound What was too much. @param message It in words. */
  constructor(bound: "time" | "bytes", message: string) {
    super(message);
    this.bound = bound;
  }
}

/** A body that brings less than this within the idle time is given up: about 500 bytes in a second. */
export const LEAST = 16_000;

/** Whether a body comes fast enough. It is asked of each piece. */
export class Pace {
  readonly #window: number;
  #since: number;
  #bytes = 0;

  /** @param window Milliseconds that are looked at. @param now When it begins. */
  constructor(window: number, now: number) {
    [this.#window, this.#since] = [window, now];
  }

  /** Takes a piece. @returns What is wrong, in words; undefined while nothing is. */
  tooSlow(bytes: number, now: number): string | undefined {
    this.#bytes += bytes;
    if (now - this.#since < this.#window) return undefined;
    const brought = this.#bytes;
    [this.#since, this.#bytes] = [now, 0];
    return brought >= LEAST ? undefined : `the server has sent only ${brought} bytes in ${this.#window} ms`;
  }
}

/**
 * In which form a body is packed that the runtime does not undo; undefined where it comes as it is. Deno undoes two;
 * a page is trusted with those that its browser asked for.
 */
export function packedAs({ headers }: Response): string | undefined {
  const form = headers.get("content-encoding")?.trim() ?? "";
  if (!hasFiles() || /^(|identity|gzip|br)$/i.test(form)) return undefined;
  return form;
}

/** Whether a body comes as it is. What answers a range is not undone by every runtime. */
export function isPlain({ headers }: Response): boolean {
  return /^(|identity)$/i.test(headers.get("content-encoding")?.trim() ?? "");
}

/** A response whose body can be read within bounds. */
export interface BoundedResponse {
  /** Status and headers. */
  readonly response: Response;
  /** All of the body. @throws FetchBoundError */
  bytes(maxBytes?: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Gives up the body and the connection. */
  cancel(): void;
}

/**
 * `fetch` that does not wait without end. The body is read with `bytes()`, or given up with `cancel()`.
 *
 * @throws FetchBoundError when no headers come in time; what `fetch` throws.
 */
export async function boundedFetch(
  url: URL,
  init: RequestInit = {},
  bounds: FetchBounds = {},
): Promise<BoundedResponse> {
  const { headersTimeout = 30_000, idleTimeout = 30_000, signal } = bounds;
  const stop = new AbortController();
  const onAbort = () => stop.abort(signal!.reason);
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });
  const finish = () => {
    signal?.removeEventListener("abort", onAbort);
    stop.abort();
  };
  let response: Response;
  try {
    response = await within(
      headersTimeout,
      `the server has not answered within ${headersTimeout} ms`,
      () => fetch(url, { ...init, signal: stop.signal }),
    );
  } catch (error) {
    finish();
    throw error;
  }
  return {
    response,
    cancel: finish,
    bytes: async (maxBytes = bounds.maxBytes ?? Infinity) => {
      try {
        return await readBody(response, maxBytes, idleTimeout);
      } finally {
        finish();
      }
    },
  };
}

// ---------------------------------------------------------------------------

async function readBody(response: Response, most: number, idle: number): Promise<Uint8Array<ArrayBuffer>> {
  const encoded = response.headers.get("content-encoding") !== null;
  const announced = encoded ? 0 : Number(response.headers.get("content-length") ?? 0);
  if (announced > most) tooMany(announced, most);
  if (!response.body) return new Uint8Array(0);
  const reader = response.body.getReader();
  const pace = new Pace(idle, performance.now());
  const pieces: Uint8Array[] = [];
  let total = 0;
  while (true) {
    const { done, value } = await within(
      idle,
      `the server has sent nothing for ${idle} ms`,
      () => reader.read(),
    );
    if (done) break;
    total += value.length;
    if (total > most) tooMany(total, most);
    const slow = pace.tooSlow(value.length, performance.now());
    if (slow !== undefined) throw new FetchBoundError("time", slow);
    pieces.push(value);
  }
  const all = new Uint8Array(total);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

async function within<T>(ms: number, what: string, run: () => Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new FetchBoundError("time", what)), ms);
  });
  const work = run();
  work.catch(() => {}); // when it is late, nobody waits for it
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function tooMany(bytes: number, most: number): never {
  throw new FetchBoundError("bytes", `it has ${bytes} bytes or more, and at most ${most} are read`);
}
