/** What a model is run with to look at it: `inputs` are those of one call, `samples` those of several. @module */

/** What one call of a model's forward takes. */
export type CallInputs = readonly unknown[];

/** The calls that options ask for: undefined where they name none. */
export function samplesOf(
  options: { readonly inputs?: CallInputs; readonly samples?: readonly CallInputs[] } | undefined,
): readonly CallInputs[] | undefined {
  return options?.samples ?? (options?.inputs && [options.inputs]);
}
