/**
 * Checks what `kernelize` and `tune` are given. An option that is not known would leave out what somebody asked for
 * without a word, and kernels are put in from plain JavaScript too.
 *
 * @module
 */
import { checkArgument, checkOptions, type OptionNames, refuseArgument } from "../arguments.ts";
import { raise } from "../errors.ts";
import { Mode } from "./config/mode.ts";
import type { KernelizeOptions } from "./kernelize.ts";
import type { TuneOptions } from "./tune/tune.ts";
import type { VerifyOptions } from "./verify/verify.ts";

/** @throws KW-ARGUMENT that names the option. */
export function checkKernelizeOptions(at: string, options: KernelizeOptions): void {
  checkOptions(at, options, KERNELIZE);
  checkSamples(at, options);
  checkWord(`${at}.mode`, options.mode, Object.values(Mode));
  const { verify, tune } = options;
  if (verify !== undefined) {
    checkOptions(`${at}.verify`, verify, VERIFY);
    checkSamples(`${at}.verify`, verify);
    checkWord(`${at}.verify.onFail`, verify.onFail, ["error", "fallback", "report"]);
    checkWord(`${at}.verify.onSlower`, verify.onSlower, ["report", "fallback"]);
  }
  if (tune !== undefined) checkTuneOptions(`${at}.tune`, tune);
}

/** @throws KW-ARGUMENT that names the option. */
export function checkTuneOptions(at: string, options: TuneOptions): void {
  checkOptions(at, options, TUNE);
  checkSamples(at, options);
}

// ---------------------------------------------------------------------------

const SAMPLES = { inputs: true, samples: true } as const;

const KERNELIZE: OptionNames<KernelizeOptions> = {
  ...SAMPLES,
  mode: true,
  verify: true,
  tune: true,
  base: true,
  resolver: true,
  signal: true,
};

const VERIFY: OptionNames<VerifyOptions> = {
  ...SAMPLES,
  rtol: true,
  atol: true,
  onFail: true,
  reference: true,
  onSlower: true,
  time: true,
  signal: true,
};

const TUNE: OptionNames<TuneOptions> = {
  ...SAMPLES,
  cache: true,
  rounds: true,
  train: true,
  rtol: true,
  atol: true,
  signal: true,
};

function checkSamples(at: string, { inputs, samples }: { inputs?: unknown; samples?: unknown }): void {
  if (inputs !== undefined) checkArgument(`${at}.inputs`, inputs, "an array");
  if (samples === undefined) return;
  checkArgument(`${at}.samples`, samples, "an array");
  for (const [i, one] of (samples as unknown[]).entries()) {
    checkArgument(`${at}.samples[${i}]`, one, "an array");
  }
  if (inputs === undefined) return;
  raise(
    "KW-ARGUMENT",
    `Cannot call ${at} has both inputs and samples`,
    "Give `inputs` for one call, or `samples` for several: [[…], […]].",
  );
}

function checkWord(at: string, value: unknown, words: readonly string[]): void {
  if (value === undefined || words.includes(value as string)) return;
  refuseArgument(at, value, words.map((w) => JSON.stringify(w)).join(" or "));
}
