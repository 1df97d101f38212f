import { raise } from "../../errors.ts";
import { linearRegex } from "./linear_regex.ts";

/**
 * A path pattern: the segments of a path, where `*` stands for exactly one segment.
 *
 * A regular expression is used only when it is asked for by name: `{ regex: "^model\\.layers\\.[0-3]\\." }`. It is
 * JavaScript's, without flags, look-behind, back references and named groups, and its time is bounded.
 */
export type PathPattern = string | { readonly regex: string };

/** Whether a path matches. */
export type PathMatcher = (path: string) => boolean;

/**
 * Compiles a pattern.
 *
 * @throws KW-CONFIG-PATTERN when it is malformed.
 */
export function compilePattern(pattern: PathPattern): PathMatcher {
  if (typeof pattern !== "string") return compileRegex(pattern.regex);
  const wanted = pattern.split(".");
  const bad = wanted.find((s) => s === "" || (s !== "*" && !/^\w+$/.test(s)));
  if (bad !== undefined) {
    raise(
      "KW-CONFIG-PATTERN",
      `The path pattern ${JSON.stringify(pattern)} has the segment ${JSON.stringify(bad)}`,
      'Separate names with dots, and use "*" for one whole segment; for more, give { "regex": … }.',
    );
  }
  return (path) => {
    const segments = path.split(".");
    return segments.length === wanted.length && wanted.every((w, i) => w === "*" || w === segments[i]);
  };
}

/** The pattern as messages show it. */
export function describePattern(pattern: PathPattern): string {
  return typeof pattern === "string" ? JSON.stringify(pattern) : `/${pattern.regex}/`;
}

// ---------------------------------------------------------------------------

function compileRegex(source: string): PathMatcher {
  try {
    new RegExp(source); // the engine checks the syntax; it never runs it
  } catch (cause) {
    raise(
      "KW-CONFIG-PATTERN",
      `The regular expression ${JSON.stringify(source)} is not valid`,
      String(cause),
      undefined,
      cause,
    );
  }
  const guarded = <T>(fn: () => T): T => {
    try {
      return fn();
    } catch (cause) {
      return raise(
        "KW-CONFIG-PATTERN",
        `The regular expression ${JSON.stringify(source)} cannot be used: ${(cause as Error).message}`,
        "It is JavaScript's syntax without flags, look-behind, back references and named groups.",
        undefined,
        cause,
      );
    }
  };
  const test = guarded(() => linearRegex(source));
  return (path) => guarded(() => test(path));
}
