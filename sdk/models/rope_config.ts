import { raise } from "../errors.ts";
import type { Rope } from "../nn/mod.ts";
import { short } from "./config_keys.ts";

/** A config's rotary settings, and the keys inside them that nothing is known of. */
export interface RopeConfig {
  /** The settings. */
  readonly rope: Rope;
  /** Keys as `rope_scaling.key`. */
  readonly unknown: readonly string[];
}

/**
 * Reads the rotary settings as Hugging Face does: a `rope_scaling` that says something is taken whole and goes before
 * `rope_parameters`; `rope_type` goes before `type`, and a `rope_theta` inside before the one beside.
 *
 * @param json Without nulls. @param theta The family's base. @param positions `max_position_embeddings`.
 * @throws KW-CONFIG-VALUE for a kind that is not supported, a scaling without a kind, or one for each kind of layer.
 */
export function readRope(
  json: Readonly<Record<string, unknown>>,
  theta: number,
  positions: number,
  file?: string,
): RopeConfig {
  const refuse = (key: string, what: string, fix?: string): never =>
    raise("KW-CONFIG-VALUE", `Cannot use config.json: ${key}: ${what}`, fix, { file, json: key });
  const given = (key: string): Record<string, unknown> => {
    const value = json[key];
    if (value === undefined) return {};
    if (typeof value !== "object" || Array.isArray(value)) refuse(key, `${short(value)} is not an object`);
    return Object.fromEntries(Object.entries(value as object).filter(([, v]) => v !== null));
  };
  const [scaling, parameters] = [given("rope_scaling"), given("rope_parameters")];
  for (const [key, inner] of [["rope_scaling", scaling], ["rope_parameters", parameters]] as const) {
    for (const [name, value] of Object.entries(inner)) {
      if (REFUSED_INSIDE.has(name) && !(name === "partial_rotary_factor" && value === 1) && value !== false) {
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
  const kind = inner.rope_type ?? inner.type;
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
    Object.keys(inner).filter((k) => !used.includes(k) && !ALWAYS.includes(k)).map((k) => `${where}.${k}`);
  const original = () =>
    number(
      "original_max_position_embeddings",
      "original_max_position_embeddings",
      json.original_max_position_embeddings ?? inner.original_max_position_embeddings ?? positions,
    );
  switch (kind) {
    case undefined:
    case "default":
      return { rope: { kind: "default", theta: base }, unknown: unknown() };
    case "linear":
      return { rope: { kind, theta: base, factor: inside("factor") }, unknown: unknown("factor") };
    case "llama3": {
      const [low, high] = [inside("low_freq_factor"), inside("high_freq_factor")];
      if (!(high > low)) refuse(`${where}.high_freq_factor`, `${high} is not above low_freq_factor, ${low}`);
      return {
        rope: {
          kind,
          theta: base,
          factor: inside("factor"),
          low_freq_factor: low,
          high_freq_factor: high,
          original_max_position_embeddings: original(),
        },
        unknown: unknown(
          "factor",
          "low_freq_factor",
          "high_freq_factor",
          "original_max_position_embeddings",
        ),
      };
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
      return {
        rope: {
          kind,
          theta: base,
          factor,
          beta_fast: or("beta_fast", 32),
          beta_slow: or("beta_slow", 1),
          truncate: truncate as boolean,
          attention_factor: inner.attention_factor === undefined ? own : inside("attention_factor"),
          original_max_position_embeddings: original(),
        },
        unknown: unknown(
          ..."factor beta_fast beta_slow truncate attention_factor mscale mscale_all_dim".split(" "),
          "original_max_position_embeddings",
        ),
      };
    }
    default:
      return refuse(where, `the type ${short(kind)} is not supported`, `Supported: ${KINDS.join(", ")}.`);
  }
}

// ---------------------------------------------------------------------------

const KINDS = ["default", "linear", "llama3", "yarn"];
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
