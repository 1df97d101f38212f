import { raise } from "../errors.ts";

/** Whose code may run. */
export interface Trust {
  /**
   * Publishers: how their references begin, e.g. `jsr:@kernelwright/`, `https://kernels.example/`. The last character
   * is part of it: `https://kernels.example` would also trust `https://kernels.example.evil`.
   */
  readonly publishers?: readonly string[];
  /**
   * Whether the user said that code may run although its publisher is not in the list: all of it, or the references
   * that are named, e.g. `["https://kernels.example/kernel.js", "npm:some-kernel@1"]`.
   */
  readonly trust?: boolean | readonly string[];
}

/** Who vouches for a reference: its publisher is in the list, or the user said so for it. */
export type Voucher = "publisher" | "user";

/**
 * Refuses a reference whose publisher is not trusted. Local folders and files are the user's own.
 *
 * @param publisher How the publisher's references begin, where that is not how `where` does.
 * @throws KW-REF-UNTRUSTED
 */
export function checkTrust(
  where: string,
  { publishers = [], trust = false }: Trust,
  publisher: string = where,
): Voucher {
  if (publishers.some((p) => isPrefix(p) && publisher.startsWith(p))) return "publisher";
  if (typeof trust === "boolean" ? trust : trust.includes(where)) return "user";
  raise(
    "KW-REF-UNTRUSTED",
    `The publisher of ${where} is not trusted`,
    "Read what it does first. Then lock it with --trust, add its publisher to the trusted ones, or say trust: true.",
    { file: where },
  );
}

/** A whole scope, host or folder, and not the beginning of its name. */
function isPrefix(publisher: string): boolean {
  return publisher.endsWith("/");
}
