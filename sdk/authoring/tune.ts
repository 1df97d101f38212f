/**
 * Constants whose best values the machine decides: a kernel names candidates, its forward asks for the values.
 *
 *   @kernel({ tune: { TILE: [32, 64, 128] } })     what may be tried
 *   const { TILE } = tuned({ TILE: 64 })           what holds in this call; 64 until something better is known
 *
 * The values of a call are set around it, as its errors' context is: nothing is kept on the kernel.
 */
import { ambient } from "../ambient.ts";
import { didYouMean, raise } from "../errors.ts";

/** Candidate values by the name of a constant, usually an override of the kernel's WGSL. */
export type Tune = Readonly<Record<string, readonly number[]>>;

/** Values of constants, by name. */
export type Constants = Readonly<Record<string, number>>;

/** How many combinations of candidates a kernel may have. */
export const MOST_COMBINATIONS = 64;

/**
 * The constants of this call of a kernel's forward: the measured best of what its `tune` names, and the given
 * defaults until there is one. The same while forward is traced, captured and run.
 * See the example of {@linkcode kernel}.
 *
 * @throws KW-TUNE-NAME for a name that the kernel's tune lacks.
 */
export function tuned<Name extends string>(
  defaults: Readonly<Record<Name, number>>,
): Readonly<Record<Name, number>> {
  const frame = frames.current;
  const tune = frame?.kernel.tune;
  if (!frame || !tune) return defaults;
  for (const name in defaults) {
    if (!Object.hasOwn(tune, name)) {
      raise(
        "KW-TUNE-NAME",
        `The forward of ${frame.kernel.name} asks for a tuned "${name}", which its tune does not name`,
        didYouMean(name, Object.keys(tune)),
        { kernel: frame.kernel.name },
      );
    }
  }
  const { asked, values } = frame;
  if (asked) { for (const name in defaults) if (!asked.has(name)) asked.set(name, defaults[name]); }
  if (!values) return defaults;
  const found: Record<Name, number> = { ...defaults };
  for (const name in defaults) if (Object.hasOwn(values, name)) found[name] = values[name];
  return found;
}

/**
 * Runs a kernel's forward with values for its constants.
 *
 * @param values Those that differ from the forward's own defaults.
 * @param asked Gets what forward asks for, with its defaults.
 */
export function withTuned<T>(
  kernel: { readonly name: string; readonly tune?: Tune },
  values: Constants | undefined,
  fn: () => T,
  asked?: Map<string, number>,
): T {
  return frames.run({ kernel, values, asked }, fn);
}

/** Every combination of the candidates of `names`. */
export function combinations(tune: Tune, names: readonly string[] = Object.keys(tune)): Constants[] {
  return names.reduce<Constants[]>(
    (all, name) => all.flatMap((c) => tune[name].map((value) => ({ ...c, [name]: value }))),
    [{}],
  );
}

/**
 * Checks the candidates that a kernel names; the result is the decorator's own copy.
 *
 * @throws KW-TUNE-OPTION
 */
export function checkTune(tune: unknown, where: { readonly kernel: string }): Tune {
  const refuse = (what: string) =>
    raise("KW-TUNE-OPTION", `The tune of ${where.kernel} ${what}`, EXAMPLE, where);
  if (typeof tune !== "object" || tune === null || Array.isArray(tune)) {
    return refuse(`is ${tune === null ? "null" : Array.isArray(tune) ? "an array" : typeof tune}`);
  }
  let count = 1;
  const copy: Record<string, readonly number[]> = {};
  for (const [name, values] of Object.entries(tune) as [string, unknown][]) {
    if (!/^[A-Za-z_]\w*$/.test(name)) {
      refuse(`names ${JSON.stringify(name)}, which is not the name of an override`);
    }
    if (!Array.isArray(values) || values.length === 0) refuse(`has no list of values for "${name}"`);
    const list = values as unknown[];
    const odd = list.findIndex((v) => !Number.isFinite(v));
    if (odd >= 0) refuse(`has ${String(list[odd])} among the values of "${name}"`);
    copy[name] = Object.freeze([...new Set(list as number[])]);
    count *= copy[name].length;
  }
  if (count > MOST_COMBINATIONS) {
    refuse(`has ${count} combinations; ${MOST_COMBINATIONS} are the most, since each is compiled and run`);
  }
  return Object.freeze(copy);
}

// ---------------------------------------------------------------------------

interface Frame {
  readonly kernel: { readonly name: string; readonly tune?: Tune };
  readonly values: Constants | undefined;
  readonly asked: Map<string, number> | undefined;
}

const frames = ambient<Frame | undefined>(undefined);

const EXAMPLE = "Name overrides with the finite numbers to try: tune: { TILE: [32, 64, 128] }.";
