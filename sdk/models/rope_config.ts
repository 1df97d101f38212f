import { raise } from "../errors.ts";
import { Rope, type RopeScaling } from "../nn/mod.ts";
import { short, withoutNulls } from "./config_keys.ts";

/** A config's rotary settings, and the keys inside them that nothing is known of. */
export interface RopeConfig {
  /** The settings. */
  readonly rope: Rope;
  /** Keys as `rope_scaling.key`. */
  readonly unknown: readonly string[];
}

/** What a family says of its rotary settings. */
export interface RopeDefaults {
  /** Elements per head. */
  readonly headDim: number;
  /** The base, where the file has none. */
  readonly theta: number;
  /** `max_position_embeddings`. */
  readonly positions: number;
  /** Whether `partial_rotary_factor` counts. */
  readonly partial: boolean;
  /** The length that the model was first made for where the file has none beside; defaults to one inside, then `positions`. */
  readonly original?: number;
  /** Other names that a kind has had. */
  readonly kinds?: Readonly<Record<string, string>>;
  /** What errors call keys at the top, where the file has them elsewhere. */
  readonly names?: Readonly<Record<string, string>>;
}

/**
 * Reads the rotary settings as Hugging Face does: a `rope_scaling` that says something is taken whole and takes precedence over
 * `rope_parameters`; `rope_type` takes precedence over `type`, and a `rope_theta` inside over the one beside.
 *
 * @param json Without nulls.
 * @throws KW-CONFIG-VALUE for a kind that is not supported, a scaling without a kind, or one for each kind of layer.
 */
export function readRope(
  json: Readonly<Record<string, unknown>>,
  { headDim, theta, positions, partial, original: first, kinds = {}, names }: RopeDefaults,
  file?: string,
): RopeConfig {
  const nameOf = (key: string) => key.replace(/^\w+/, (top) => names?.[top] ?? top);
  const refuse = (key: string, what: string, fix?: string): never => {
    const at = nameOf(key);
    return raise("KW-CONFIG-VALUE", `Cannot use config.json: ${at}: ${what}`, fix, { file, json: at });
  };
  const given = (key: string): Record<string, unknown> => {
    const value = json[key];
    if (value === undefined) return {};
    if (typeof value !== "object" || Array.isArray(value)) refuse(key, `${short(value)} is not an object`);
    return Object.fromEntries(Object.entries(value as object).filter(([, v]) => v !== null));
  };
  const [scaling, parameters] = [given("rope_scaling"), given("rope_parameters")];
  for (const [key, inner] of [["rope_scaling", scaling], ["rope_parameters", parameters]] as const) {
    for (const [name, value] of Object.entries(inner)) {
      if (name === "partial_rotary_factor" && (partial || value === 1)) continue;
      if (REFUSED_INSIDE.has(name) && value !== false) {
        refuse(`${key}.${name}`, `${short(value)} would change the results, and is not supported`);
      }
      if (typeof value === "object" && !Array.isArray(value)) {
        refuse(
          `${key}.${name}`,
          "rotary settings by kind of layer are not supported",
          "Give one for all layers.",
        );
      }
    }
  }
  const where = Object.keys(scaling).length > 0 ? "rope_scaling" : "rope_parameters";
  const inner = where === "rope_scaling" ? scaling : parameters;
  const named = inner.rope_type ?? inner.type;
  const kind = Object.hasOwn(kinds, String(named)) ? kinds[String(named)] : named;
  const number = (key: string, at: string, value: unknown, least = 0): number =>
    typeof value === "number" && Number.isFinite(value) && value > least ? value : refuse(
      at,
      value === undefined
        ? `the type ${short(kind)} is not supported without ${key}`
        : `${short(value)} is not a number above ${least}`,
    );
  const inside = (key: string, otherwise?: number): number =>
    number(key, `${where}.${key}`, inner[key] ?? otherwise);
  const base = inner.rope_theta !== undefined
    ? inside("rope_theta")
    : number("rope_theta", "rope_theta", json.rope_theta ?? theta);
  if (kind === undefined) {
    const other = Object.keys(inner).filter((k) => k !== "rope_theta" && k !== "partial_rotary_factor");
    if (other.length > 0) {
      refuse(where, `it has ${other.join(", ")} but no rope_type`, `Add the type: ${KINDS.join(", ")}.`);
    }
  }
  const unknown = (...used: string[]) =>
    Object.keys(inner).filter((k) => !used.includes(k) && !ALWAYS.includes(k)).map((k) =>
      nameOf(`${where}.${k}`)
    );
  const original = () =>
    number(
      "original_max_position_embeddings",
      "original_max_position_embeddings",
      json.original_max_position_embeddings ?? first ?? inner.original_max_position_embeddings ?? positions,
    );
  const share = partial
    ? number(
      "partial_rotary_factor",
      "partial_rotary_factor",
      json.partial_rotary_factor ?? inner.partial_rotary_factor ?? 1,
    )
    : 1;
  if (share > 1) refuse("partial_rotary_factor", `${share} is more than 1`);
  const dim = Math.floor(headDim * share);
  const made = (scaling: RopeScaling | undefined, ...used: string[]): RopeConfig => ({
    rope: new Rope(dim, base, scaling),
    unknown: unknown(...used),
  });
  switch (kind) {
    case undefined:
    case "default":
      return made(undefined);
    case "linear":
      return made({ rope_type: kind, factor: inside("factor") }, "factor");
    case "dynamic":
      // The length that it goes by is always the model's own.
      return made(
        { rope_type: kind, factor: inside("factor"), original_max_position_embeddings: positions },
        "factor",
        "original_max_position_embeddings",
      );
    case "llama3": {
      const [low, high] = [inside("low_freq_factor"), inside("high_freq_factor")];
      if (!(high > low)) refuse(`${where}.high_freq_factor`, `${high} is not above low_freq_factor, ${low}`);
      return made(
        {
          rope_type: kind,
          factor: inside("factor"),
          low_freq_factor: low,
          high_freq_factor: high,
          original_max_position_embeddings: original(),
        },
        "factor",
        "low_freq_factor",
        "high_freq_factor",
        "original_max_position_embeddings",
      );
    }
    case "yarn": {
      const factor = inside("factor");
      const or = (key: string, otherwise: number) => inner[key] ? inside(key) : otherwise;
      const both = inner.mscale && inner.mscale_all_dim;
      const own = both
        ? mscale(factor, inside("mscale")) / mscale(factor, inside("mscale_all_dim"))
        : mscale(factor, 1);
      const truncate = inner.truncate ?? true;
      if (typeof truncate !== "boolean") {
        refuse(`${where}.truncate`, `${short(truncate)} is not true or false`);
      }
      return made(
        {
          rope_type: kind,
          factor,
          beta_fast: or("beta_fast", 32),
          beta_slow: or("beta_slow", 1),
          truncate: truncate as boolean,
          attention_factor: inner.attention_factor === undefined ? own : inside("attention_factor"),
          original_max_position_embeddings: original(),
        },
        ..."factor beta_fast beta_slow truncate attention_factor mscale mscale_all_dim".split(" "),
        "original_max_position_embeddings",
      );
    }
    case "longrope": {
      const length = original();
      const factor = inner.factor === undefined ? positions / length : inside("factor");
      const list = (key: string): number[] => {
        const value = inner[key];
        if (!Array.isArray(value) || value.length !== dim / 2) {
          refuse(`${where}.${key}`, `${short(value)} is not a list of ${dim / 2} numbers, one for each pair`);
        }
        return (value as unknown[]).map((v, i) => number(key, `${where}.${key}[${i}]`, v));
      };
      return made(
        {
          rope_type: kind,
          short_factor: list("short_factor"),
          long_factor: list("long_factor"),
          original_max_position_embeddings: length,
          attention_factor: inner.attention_factor !== undefined
            ? inside("attention_factor")
            : factor <= 1
            ? 1
            : Math.sqrt(1 + Math.log(factor) / Math.log(length)),
        },
        ..."factor short_factor long_factor attention_factor original_max_position_embeddings".split(" "),
      );
    }
    default:
      return refuse(where, `the type ${short(kind)} is not supported`, `Supported: ${KINDS.join(", ")}.`);
  }
}

/** Rotary settings for each kind of layer. */
export interface RopesByKind {
  /** Those of layers that see everything. */
  readonly full: RopeConfig;
  /** Those of layers that see a window. */
  readonly sliding: RopeConfig;
}

/**
 * Reads rotary settings that differ by the kind of layer: `rope_parameters` has an entry for each, and a `rope_scaling`
 * and the `rope_theta` beside are for the layers that see everything.
 *
 * @param json Without nulls. @param local The key of the windowed layers' base, and the base where the file has none.
 * @throws KW-CONFIG-VALUE as {@linkcode readRope}, and for `rope_parameters` that are not by kind of layer.
 */
export function readRopesByKind(
  json: Readonly<Record<string, unknown>>,
  defaults: RopeDefaults,
  local: { readonly key: string; readonly otherwise: number },
  file?: string,
): RopesByKind {
  const { rope_parameters: parameters = {}, rope_scaling: scaling, ...others } = json;
  const refuse = (what: string): never =>
    raise(
      "KW-CONFIG-VALUE",
      `Cannot use config.json: rope_parameters: ${what}`,
      "Give full_attention and sliding_attention, each with its settings.",
      { file, json: "rope_parameters" },
    );
  if (typeof parameters !== "object" || Array.isArray(parameters)) {
    refuse(`${short(parameters)} is not an object`);
  }
  const { full_attention: full = {}, sliding_attention: sliding = {}, ...flat } = withoutNulls(
    parameters as Record<string, unknown>,
  );
  const [other] = Object.keys(flat);
  if (other) refuse(`${other} is not a kind of layer`);
  const scaled = Object.keys(Object(scaling)).length > 0;
  return {
    full: readRope(
      scaled && typeof scaling === "object" && !Array.isArray(scaling)
        ? { ...others, rope_scaling: { ...full as object, ...scaling as object } }
        : { ...others, rope_scaling: scaling, rope_parameters: full },
      { ...defaults, names: scaled ? {} : { rope_parameters: "rope_parameters.full_attention" } },
      file,
    ),
    sliding: readRope({ ...others, rope_theta: json[local.key], rope_parameters: sliding }, {
      ...defaults,
      theta: local.otherwise,
      names: { rope_theta: local.key, rope_parameters: "rope_parameters.sliding_attention" },
    }, file),
  };
}

// ---------------------------------------------------------------------------

const KINDS = ["default", "linear", "dynamic", "llama3", "yarn", "longrope"];
const ALWAYS = ["rope_type", "type", "rope_theta", "partial_rotary_factor"];
const REFUSED_INSIDE = new Set([
  "partial_rotary_factor",
  "mrope_section",
  "mrope_interleaved",
  "rope_interleaved",
]);

function mscale(factor: number, by: number): number {
  return factor <= 1 ? 1 : 0.1 * by * Math.log(factor) + 1;
}
