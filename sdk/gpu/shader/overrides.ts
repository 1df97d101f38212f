import { didYouMean, raise } from "../../errors.ts";
import type { Override } from "./reflect.ts";
import type { ShaderVariant } from "./shader.ts";
import { describeVariant } from "./error.ts";

/** Values of overrides. */
export type Constants = Readonly<Record<string, number>>;

/**
 * The shader's constants and a dispatch's on top, all by name: an override with an `@id` may be set by that as well.
 *
 * @throws KW-SHADER-CONSTANT for one that is set both ways.
 */
export function namedConstants(variant: ShaderVariant, given: Constants | undefined): Constants {
  const own = byName(variant, variant.shader.constants);
  return given ? { ...own, ...byName(variant, given) } : own;
}

/** The constants as WebGPU wants them: an override with an `@id` goes by nothing else. */
export function driverConstants({ reflection }: ShaderVariant, constants: Constants): Record<string, number> {
  return Object.fromEntries(
    Object.entries(constants).map(([name, value]) => [reflection.overrides.get(name)?.id ?? name, value]),
  );
}

/**
 * Does nothing where every constant is one of the shader's, fits its type, and none is missing.
 *
 * @throws KW-SHADER-CONSTANT
 */
export function checkConstants(variant: ShaderVariant, constants: Constants): void {
  const { overrides } = variant.reflection;
  const where = { file: variant.shader.name, variant: describeVariant(variant, constants) };
  for (const [name, value] of Object.entries(constants)) {
    const override = overrides.get(name);
    if (!override) {
      raise(
        "KW-SHADER-CONSTANT",
        `The shader has no override ${/^\d+$/.test(name) ? `with @id(${name})` : `"${name}"`}`,
        didYouMean(name, overrides.keys()),
        where,
      );
    }
    const range = Number.isFinite(value)
      ? Object.hasOwn(FITS, override.scalar) && FITS[override.scalar]
      : undefined;
    if (range === undefined) {
      raise(
        "KW-SHADER-CONSTANT",
        `The override "${name}" got ${String(value)}`,
        "Give a finite number.",
        where,
      );
    }
    if (range && !range.test(value)) {
      raise(
        "KW-SHADER-CONSTANT",
        `The override "${name}" is ${override.scalar}, and got ${value}`,
        range.fix,
        where,
      );
    }
  }
  for (const [name, { hasDefault }] of overrides) {
    if (!hasDefault && !Object.hasOwn(constants, name)) {
      raise(
        "KW-SHADER-CONSTANT",
        `The override "${name}" has no value`,
        `Give it in constants: { ${name}: … }.`,
        where,
      );
    }
  }
}

// ---------------------------------------------------------------------------

const within = (least: number, most: number) => (n: number) => Number.isInteger(n) && n >= least && n <= most;

const FITS: Record<string, { readonly test: (value: number) => boolean; readonly fix: string }> = {
  bool: { test: within(0, 1), fix: "Give 0 or 1." },
  u32: { test: within(0, 0xffffffff), fix: "Give a whole number from 0 to 4294967295." },
  i32: { test: within(-0x80000000, 0x7fffffff), fix: "Give a whole number from -2147483648 to 2147483647." },
  f32: { test: (n) => Number.isFinite(Math.fround(n)), fix: "Give a number that f32 can hold." },
  f16: { test: (n) => Math.abs(n) <= 65504, fix: "Give a number from -65504 to 65504." },
};

function byName(variant: ShaderVariant, given: Constants): Constants {
  const { overrides } = variant.reflection;
  if (!hasIds(overrides)) return given;
  const named: Record<string, number> = {};
  for (const [key, value] of Object.entries(given)) {
    const name = overrides.has(key) ? key : nameOf(overrides, key) ?? key;
    if (Object.hasOwn(named, name)) {
      raise(
        "KW-SHADER-CONSTANT",
        `The override "${name}" is given twice, by its name and by its @id`,
        "Leave one out.",
        { file: variant.shader.name },
      );
    }
    named[name] = value;
  }
  return named;
}

function hasIds(overrides: ReadonlyMap<string, Override>): boolean {
  for (const { id } of overrides.values()) if (id !== undefined) return true;
  return false;
}

function nameOf(overrides: ReadonlyMap<string, Override>, id: string): string | undefined {
  for (const [name, override] of overrides) if (String(override.id) === id) return name;
  return undefined;
}
