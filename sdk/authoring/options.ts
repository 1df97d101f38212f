import { showValue } from "../arguments.ts";
import { didYouMean, raise } from "../errors.ts";

/**
 * Refuses options that are not known. Types say this too, but kernels are also written in JavaScript.
 *
 * @throws KW-KERNEL-OPTION
 */
export function checkOptions(
  decorator: string,
  given: object,
  known: readonly string[],
  where: { readonly kernel: string },
  what = "option",
): void {
  if (typeof given !== "object" || given === null) {
    raise(
      "KW-KERNEL-OPTION",
      `${decorator} got ${showValue(given)} for its ${what}s`,
      "Give an object.",
      where,
    );
  }
  for (const key of Object.keys(given)) {
    if (!known.includes(key)) {
      raise("KW-KERNEL-OPTION", `${decorator} has no ${what} "${key}"`, didYouMean(key, known), where);
    }
  }
}
