/** What a generation is told, checked, and completed by the model's generation_config.json. */
import { didYouMean, raise } from "../errors.ts";
import { checkSampleOptions, type SampleOptions } from "../ops/mod.ts";
import type { CausalLM } from "./causal_lm.ts";

/** How much is generated, and where it stops. */
export interface GenerateOptions {
  /** The most new tokens of each row. */
  readonly maxNewTokens: number;
  /** Ids that end a row, themselves included in the result; defaults to the model's: of generation_config.json, else of config.json. */
  readonly eosTokenIds?: readonly number[];
  /**
   * How ids are drawn, on the device. What is not given here is as the model's generation_config.json says. By default
   * that file decides: with `do_sample` ids are drawn, otherwise generation is greedy, as with `false`. A seed that is
   * not told is chosen, and returned.
   */
  readonly sampling?: SampleOptions | false;
  /**
   * What happens where generation_config.json asks for what would change the ids and is not supported, such as a
   * repetition penalty: an error that names it, or generation without it if you ask for that.
   */
  readonly unsupported?: "error" | "ignore";
  /** Whether the steps after the prompt are captured once and replayed: faster, the same numbers. */
  readonly capture?: boolean;
  /** Told of each step: the new id of each row, or undefined for a row that has ended. */
  readonly onToken?: (ids: readonly (number | undefined)[]) => void;
  /** Stops the generation at the end of the step that runs when it is aborted. */
  readonly signal?: AbortSignal;
}

/** What was decided. */
export interface Decided {
  /** Ids that end a row. */
  readonly eos: ReadonlySet<number>;
  /** How ids are drawn; undefined for greedy generation. */
  readonly sampling: (SampleOptions & { readonly seed: number }) | undefined;
}

/** @throws KW-GENERATE-OPTION, KW-SAMPLE-OPTION, KW-GENERATE-CONFIG */
export function decide(model: CausalLM, options: GenerateOptions): Decided {
  if (typeof options !== "object" || options === null) {
    refuse("Cannot generate without options", "Give at least { maxNewTokens }.");
  }
  for (const key of Object.keys(options)) if (!OPTIONS.has(key)) unknownOption(key);
  const { maxNewTokens: most, sampling: told, eosTokenIds, unsupported = "error" } = options;
  if (!Number.isInteger(most) || most < 0) {
    refuse(
      `Cannot generate ${show(most)} tokens (maxNewTokens)`,
      "It is a count: a whole number, 0 or more.",
    );
  }
  if (unsupported !== "error" && unsupported !== "ignore") {
    refuse(`Cannot generate with unsupported ${show(unsupported)}`, 'It is "error" or "ignore".');
  }
  const given = model.generation_config;
  if (given && given.unsupported.length > 0 && unsupported === "error") {
    raise(
      "KW-GENERATE-CONFIG",
      `Cannot generate as generation_config.json says: ${given.unsupported.join(", ")} is not supported`,
      'Remove it from the file, or pass { unsupported: "ignore" } to generate without.',
      { file: given.file },
    );
  }
  const eos = eosTokenIds ?? given?.eos_token_ids ?? model.config.eos_token_ids;
  const bad = Array.isArray(eos) ? eos.find((id) => !Number.isInteger(id)) : eos;
  if (bad !== undefined) refuse(`Cannot end at ${show(bad)} (eosTokenIds)`, "Give a list of token ids.");
  return { eos: new Set(eos), sampling: samplingOf(told, given) };
}

// ---------------------------------------------------------------------------

const OPTIONS = new Set([
  "maxNewTokens",
  "eosTokenIds",
  "sampling",
  "unsupported",
  "capture",
  "onToken",
  "signal",
]);
const SAMPLING = ["temperature", "topK", "topP", "seed"] as const;

function samplingOf(
  told: SampleOptions | false | undefined,
  given: CausalLM["generation_config"],
): Decided["sampling"] {
  if (told === false || (told == null && !given?.do_sample)) return undefined;
  if (told != null && typeof told !== "object") {
    refuse(`Cannot sample by ${show(told)}`, "Give { temperature, topK, topP, seed }, or false.");
  }
  for (const key of Object.keys(told ?? {})) {
    if (SAMPLING.includes(key as never)) continue;
    raise("KW-SAMPLE-OPTION", `There is no option ${JSON.stringify(key)}`, didYouMean(key, SAMPLING));
  }
  const own = Object.fromEntries(Object.entries(told ?? {}).filter(([, value]) => value !== undefined));
  const sampling = { seed: crypto.getRandomValues(new Uint32Array(1))[0], ...given?.sampling, ...own };
  checkSampleOptions(sampling);
  return sampling;
}

function unknownOption(key: string): never {
  const fix = SAMPLING.includes(key as never) ? `Give it as sampling: { ${key} }.` : didYouMean(key, OPTIONS);
  return refuse(`generate() has no option ${JSON.stringify(key)}`, fix);
}

function refuse(what: string, fix: string): never {
  raise("KW-GENERATE-OPTION", what, fix);
}

function show(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
