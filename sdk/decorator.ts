/** Whether a decorator runs as standard decorators do. */
import { raise } from "./errors.ts";

/**
 * Checks what a class decorator was given.
 *
 * @param name The decorator, for the message.
 * @throws KW-DECORATOR
 */
export function checkClassDecorator(name: string, cls: unknown, context: unknown): void {
  const kind = typeof context === "object" && context !== null
    ? (context as { readonly kind?: unknown }).kind
    : undefined;
  const on = typeof cls === "function" ? `class ${cls.name || "without a name"}` : "what is not a class";
  if (kind === undefined) {
    raise(
      "KW-DECORATOR",
      `Cannot apply ${name} to ${on}: it got no decorator context`,
      `Take "experimentalDecorators" out of compilerOptions (deno.json, tsconfig.json): ${name} is a standard decorator, ` +
        "and that option makes the compiler write the older kind.",
    );
  }
  if (kind !== "class" || typeof cls !== "function") {
    raise(
      "KW-DECORATOR",
      `Cannot apply ${name} to ${kind === "class" ? on : `a ${String(kind)}`}`,
      `Write ${name} above a class.`,
    );
  }
}
