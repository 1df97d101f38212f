import { throwIfAborted } from "../abort.ts";

/**
 * What `work` comes to, or KW-ABORTED as soon as the signal says stop: for work that changes nothing and may never end,
 * such as a server's answer.
 *
 * @param what What is stopped. @param may Whether one may go now; defaults to always.
 */
export function orAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  what: string,
  may: () => boolean = () => true,
): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const stop = () => {
      if (!may()) return;
      try {
        throwIfAborted(signal, what);
      } catch (error) {
        reject(error);
      }
    };
    stop();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
