import { raise } from "../errors.ts";

/** Whose code may run. */
export interface Trust {
  /**
   * Publishers: how their references begin, e.g. `jsr:@kernelwright/`, `https://kernels.example/`. The last character
   * is part of it: `https://kernels.example` would also trust `https://kernels.example.evil`.
   */
  readonly publishers?: readonly string[];
  /** Whether the user said that this reference may run although its publisher is not in the list. */
  readonly trust?: boolean;
}

/**
 * Refuses a reference whose publisher is not trusted. Local folders and files are the user's own.
 *
 * @throws KW-REF-UNTRUSTED
 */
export function checkTrust(where: string, { publishers = [], trust = false }: Trust): void {
  if (trust || publishers.some((p) => isPrefix(p) && where.startsWith(p))) return;
  raise(
    "KW-REF-UNTRUSTED",
    `The publisher of ${where} is not trusted`,
    "Read what it does first. Then add the publisher to the trusted ones, or say trust: true.",
    { file: where },
  );
}

/** A whole scope, host or folder, and not the beginning of its name. */
function isPrefix(publisher: string): boolean {
  return publisher.endsWith("/");
}
