/**
 * What the public functions ask of their arguments, where types alone would have it: a caller in plain JavaScript, or
 * with values from outside, gets our error instead of the engine's.
 */
import { didYouMean, raise } from "./errors.ts";

/** What an argument may have to be. */
export const KINDS = {
  "a string": (v: unknown): boolean => typeof v === "string",
  "a number": (v: unknown): boolean => typeof v === "number",
  "a whole number": (v: unknown): boolean => Number.isSafeInteger(v),
  "a count": (v: unknown): boolean => Number.isSafeInteger(v) && (v as number) >= 0,
  "a function": isFunction,
  "a class": (v: unknown): boolean => typeof v === "function",
  "an array": (v: unknown): boolean => Array.isArray(v),
  "strings in an array": (v: unknown): boolean => all(v, (s) => typeof s === "string"),
  "numbers in an array": (v: unknown): boolean => all(v, (n) => typeof n === "number"),
  "objects in an array": (v: unknown): boolean => all(v, isObject),
  "an object": isObject,
  "an object, or undefined": (v: unknown): boolean => v === undefined || isObject(v),
  "things to go through": isIterable,
  "bytes": (v: unknown): boolean => v instanceof Uint8Array,
  "a string or a URL": (v: unknown): boolean => typeof v === "string" || v instanceof URL,
  "a Set": (v: unknown): boolean => v instanceof Set,
  "a Map": (v: unknown): boolean => v instanceof Map,
} as const;

/** The name of a kind. */
export type Kind = keyof typeof KINDS;

/**
 * Checks one argument.
 *
 * @param at The function and the argument, for the message: `"rename(): from"`.
 * @throws KW-ARGUMENT
 */
export function checkArgument(at: string, value: unknown, kind: Kind): void {
  if (!KINDS[kind](value)) refuseArgument(at, value, kind);
}

/**
 * Checks that an argument can be called: {@linkcode checkArgument} for what runs with every module and operator.
 *
 * @throws KW-ARGUMENT
 */
export function checkFunction(at: string, value: unknown): void {
  if (!isFunction(value)) refuseArgument(at, value, "a function");
}

/**
 * Checks an object's fields.
 *
 * @throws KW-ARGUMENT
 */
export function checkFields(at: string, value: unknown, fields: Readonly<Record<string, Kind>>): void {
  if (typeof value !== "object" || value === null) refuseArgument(at, value, "an object");
  for (const name in fields) {
    checkArgument(`${at}.${name}`, (value as Readonly<Record<string, unknown>>)[name], fields[name]);
  }
}

/**
 * Checks that an argument is an instance of a class.
 *
 * @throws KW-ARGUMENT
 */
export function checkInstance(
  at: string,
  value: unknown,
  // deno-lint-ignore no-explicit-any
  cls: abstract new (...args: any) => unknown,
): void {
  if (!(value instanceof cls)) refuseArgument(at, value, `a ${cls.name}`);
}

/** The names of an interface's options, for {@linkcode checkOptions}: one that is left out does not compile. */
export type OptionNames<O> = Readonly<Record<keyof O, true>>;

/**
 * Checks that options are an object, and that each is known: one that is not would be left out without a word.
 *
 * @throws KW-ARGUMENT that names the option.
 */
export function checkOptions(at: string, options: object, known: Readonly<Record<string, true>>): void {
  checkArgument(at, options, "an object");
  for (const key in options) {
    if (Object.hasOwn(known, key)) continue;
    raise(
      "KW-ARGUMENT",
      `Cannot call ${at} has an option ${JSON.stringify(key)} that is not known`,
      didYouMean(key, Object.keys(known)),
    );
  }
}

/** Raises KW-ARGUMENT for an argument that is not what it must be. */
export function refuseArgument(at: string, value: unknown, wanted: string): never {
  raise("KW-ARGUMENT", `Cannot call ${at} is ${showValue(value)}`, `It must be ${wanted}.`);
}

/** A value, as messages show it: short, and of any kind. */
export function showValue(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  }
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? "-0" : String(value);
  if (Array.isArray(value)) return value.length === 0 ? "an empty array" : "an array";
  return ArrayBuffer.isView(value) ? "a typed array" : "an object";
}

// ---------------------------------------------------------------------------

/** Whether each is so, holes too. */
function all(value: unknown, holds: (one: unknown) => boolean): boolean {
  if (!Array.isArray(value)) return false;
  for (let i = 0; i < value.length; i++) if (!holds(value[i])) return false;
  return true;
}

/** Something to call without `new`. Closures have no prototype, so that for most this is one look. */
function isFunction(value: unknown): boolean {
  return typeof value === "function" && (value.prototype === undefined ||
    Object.getOwnPropertyDescriptor(value, "prototype")?.writable !== false);
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.iterator in value;
}
