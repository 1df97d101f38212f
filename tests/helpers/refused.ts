import { assertEquals, assertInstanceOf, fail } from "@std/assert";
import { KernelwrightError } from "../../sdk/errors.ts";

/** Fails unless `fn` throws our error, and a reader sees exactly this message (indented as suits the test). */
export function assertRefused(fn: () => unknown, message: string): void {
  try {
    fn();
  } catch (error) {
    return checkMessage(error, message);
  }
  fail("Expected it to be refused");
}

/** The same for a promise. */
export async function assertRefusedLater(fn: () => Promise<unknown>, message: string): Promise<void> {
  try {
    await fn();
  } catch (error) {
    return checkMessage(error, message);
  }
  fail("Expected it to be refused");
}

// ---------------------------------------------------------------------------

function checkMessage(error: unknown, message: string): void {
  assertInstanceOf(error, KernelwrightError);
  assertEquals(error.message, dedent(message));
}

function dedent(text: string): string {
  const lines = text.replace(/^\n/, "").trimEnd().split("\n");
  const indent = /^ */.exec(lines[0])![0].length;
  return lines.map((l) => l.slice(indent)).join("\n");
}
