/**
 * Text from outside as it may be shown in a terminal: what would act there and not be seen stands as `\uXXXX`, which is
 * also how JSON writes it.
 */

/** Escapes control characters (C0 but for line breaks and tabs, DEL, C1), bidirectional overrides and their like. */
export function visible(text: string): string {
  return text.replaceAll(HIDDEN, escape);
}

/** The same for what is shown within a line: line breaks and tabs are escaped, too, so that no name forges a line. */
export function visibleLine(text: string): string {
  return visible(text).replaceAll(/[\r\n\t]/g, escape);
}

// ---------------------------------------------------------------------------

// Controls; Arabic letter mark, LRM, RLM; separators, embeddings, overrides; isolates and deprecated formats; a byte-order
// mark; annotations.
const HIDDEN =
  // deno-lint-ignore no-control-regex
  /\r(?!\n)|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb]/g;

function escape(c: string): string {
  return `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
