import { checkArgument } from "../arguments.ts";

/**
 * The SHA-256 of bytes, as 64 hexadecimal digits.
 *
 * @example
 * ```ts
 * import { sha256 } from "@kernelwright/sdk/registry";
 * import { assertEquals } from "@std/assert";
 *
 * const digest = await sha256(new TextEncoder().encode("abc"));
 * assertEquals(digest.slice(0, 16), "ba7816bf8f01cfea");
 * ```
 */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  checkArgument("sha256(): bytes", bytes, "bytes");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((b) => b.toString(16).padStart(2, "0")).join("");
}
