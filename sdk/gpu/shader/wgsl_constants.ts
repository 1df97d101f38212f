import type { Declarations } from "./wgsl_declarations.ts";
import { type Expression, Reader } from "./wgsl_expressions.ts";
import { WgslFault } from "./wgsl_tokens.ts";

/** A scalar's type; `int` and `float` are those of numbers without a suffix. */
type Kind = "int" | "float" | "i32" | "u32" | "f32" | "f16" | "bool";

/** What a constant expression comes to. */
type Value = Scalar | { readonly items: readonly Value[] };

interface Scalar {
  readonly kind: Kind;
  readonly value: number;
}

/** Works out constant expressions, and with the overrides' values those that depend on them. */
export class Constants {
  readonly #module: Declarations;
  readonly #overrides: Readonly<Record<string, number>> | undefined;
  readonly #known = new Map<string, Value | undefined>();
  #depth = 0;

  /**
   * For a module.
   *
   * @param overrides Values of overrides by name, the others have their defaults; where left out, overrides have none.
   */
  constructor(module: Declarations, overrides?: Readonly<Record<string, number>>) {
    [this.#module, this.#overrides] = [module, overrides];
  }

  /**
   * A whole number.
   *
   * @throws WgslFault where it is something else, is not within `least` and `most`, or cannot be worked out.
   */
  integer(e: Expression, what: string, least: number, most: number): number {
    const value = this.#value(e);
    const at = (text: string) => new WgslFault(`${what} ${text}`, e.at);
    if ("items" in value || !INTEGER.test(value.kind)) throw at("must be a whole number");
    if (value.value >= least && value.value <= most) return value.value;
    throw at(`is ${value.value}, and must be ${least} to ${most}`);
  }

  /** The type of an override without one: that of its default. */
  kindOf(value: number): string {
    const found = this.#value(new Reader(this.#module.tokens, value).expression());
    if ("items" in found) return "f32";
    return found.kind === "int" ? "i32" : found.kind === "float" ? "f32" : found.kind;
  }

  #value(e: Expression): Value {
    if (++this.#depth > DEEPEST) throw new WgslFault("the expression is nested too deeply", e.at);
    const value = this.#evaluate(e);
    this.#depth--;
    return value;
  }

  #scalar(e: Expression): Scalar {
    const value = this.#value(e);
    if ("items" in value) throw beyond(e);
    return value;
  }

  #evaluate(e: Expression): Value {
    switch (e.kind) {
      case "number":
        return literal(e.text, e.at);
      case "name":
        return this.#named(e.name, e);
      case "unary":
        return unary(e.mark, this.#scalar(e.of), e);
      case "binary": {
        const left = this.#scalar(e.left);
        if (e.mark === "&&" && !left.value || e.mark === "||" && left.value) return left;
        return binary(e.mark, left, this.#scalar(e.right), e);
      }
      case "member":
      case "index": {
        const of = this.#value(e.of);
        if (!("items" in of)) throw beyond(e);
        const i = e.kind === "index"
          ? this.integer(e.index, "the index", 0, of.items.length - 1)
          : "xyzwrgba".indexOf(e.name) % 4;
        const item = e.kind === "member" && e.name.length > 1 ? undefined : of.items[i];
        if (!item) throw beyond(e);
        return item;
      }
      case "call":
        return this.#call(e);
    }
  }

  #named(name: string, e: Expression): Value {
    const declared = this.#module.byName.get(name);
    if (!declared) {
      if (name === "true" || name === "false") return { kind: "bool", value: Number(name === "true") };
      throw new WgslFault(`no constant "${name}" is declared`, e.at, name.length);
    }
    if (this.#known.has(name)) {
      const known = this.#known.get(name);
      if (known) return known;
      throw new WgslFault(`"${name}" depends on itself`, declared.at, name.length);
    }
    this.#known.set(name, undefined); // being worked out
    const value = this.#declared(name, e);
    this.#known.set(name, value);
    return value;
  }

  #declared(name: string, e: Expression): Value {
    const declared = this.#module.byName.get(name)!;
    const { kind, type, value } = declared;
    if (kind !== "const" && kind !== "override") throw beyond(e);
    if (kind === "override" && !this.#overrides) {
      throw new WgslFault(`"${name}" is an override, and this must be known without one`, e.at, name.length);
    }
    const as = type && this.#kindNamed(type);
    const set = kind === "override" && Object.hasOwn(this.#overrides!, name)
      ? this.#overrides![name]
      : undefined;
    if (set !== undefined) {
      const own = as ?? (value === undefined ? "f32" : this.kindOf(value) as Kind);
      return convert({ kind: "float", value: set }, own, e);
    }
    if (value === undefined) throw new WgslFault(`the override "${name}" has no value`, e.at, name.length);
    const found = this.#value(new Reader(this.#module.tokens, value).expression());
    return as && !("items" in found) ? convert(found, as, e) : found;
  }

  #kindNamed(type: Expression): Kind | undefined {
    if (type.kind !== "name") return undefined;
    let { name } = type;
    for (let i = 0; i < DEEPEST; i++) { // behind aliases
      const alias = this.#module.byName.get(name);
      if (alias?.kind !== "alias" || alias.type?.kind !== "name") break;
      name = alias.type.name;
    }
    return KIND.test(name) ? name as Kind : undefined;
  }

  #call(e: Expression & { kind: "call" }): Value {
    if (e.of.kind !== "name") throw beyond(e);
    const kind = this.#kindNamed(e.of);
    const args = e.args.map((a) => this.#value(a));
    const scalars = args.flatMap((a) => "items" in a ? [] : [a]);
    const { name } = e.of;
    if (name === "array") return { items: args };
    const vector = /^vec([234])/.exec(name);
    if (vector) {
      const flat = args.flatMap((a) => "items" in a ? a.items : [a]);
      const count = Number(vector[1]);
      if (flat.length === 1) return { items: new Array(count).fill(flat[0]) };
      if (flat.length === count) return { items: flat };
    }
    if (scalars.length !== args.length) throw beyond(e);
    if (kind) return scalars.length === 0 ? { kind, value: 0 } : convert(scalars[0], kind, e, true);
    if (name === "select" && scalars.length === 3) return scalars[2].value ? scalars[1] : scalars[0];
    const fn = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (!fn || fn.length !== scalars.length || this.#module.byName.has(name)) throw beyond(e);
    const common = scalars.map((s) => s.kind).reduce((a, b) => commonKind(a, b, e));
    return checked(common, fn(...scalars.map((s) => s.value)), e);
  }
}

// ---------------------------------------------------------------------------

const DEEPEST = 500;
const INTEGER = /^(int|i32|u32)$/;
const KIND = /^(i32|u32|f32|f16|bool)$/;

// How their values are rounded is the same for whole numbers; others are needed nowhere.
const FUNCTIONS: Record<string, (...of: number[]) => number> = {
  abs: (x) => Math.abs(x),
  ceil: (x) => Math.ceil(x),
  clamp: (x, low, high) => Math.min(Math.max(x, low), high),
  exp2: (x) => 2 ** x,
  firstLeadingBit: (x) => 31 - Math.clz32(x),
  floor: (x) => Math.floor(x),
  log2: (x) => Math.log2(x),
  max: (a, b) => Math.max(a, b),
  min: (a, b) => Math.min(a, b),
  pow: (a, b) => a ** b,
  sign: (x) => Math.sign(x),
  sqrt: (x) => Math.sqrt(x),
  trunc: (x) => Math.trunc(x),
};

function beyond(e: Expression): WgslFault {
  return new WgslFault("this constant cannot be worked out", e.at);
}

function literal(text: string, at: number): Scalar {
  const hex = /^0x/i.test(text);
  const suffix = (hex ? /[iu]$/ : /[iufh]$/).exec(text)?.[0];
  const digits = suffix ? text.slice(0, -1) : text;
  if (hex && /[.p]/i.test(digits)) throw new WgslFault("this constant cannot be worked out", at, text.length);
  const value = Number(digits);
  const kinds = { i: "i32", u: "u32", f: "f32", h: "f16" } as const;
  const plain = !hex && /[.eE]/.test(digits) ? "float" : "int";
  return checked(suffix ? kinds[suffix as keyof typeof kinds] : plain, value, { at });
}

/** The value in its type; refused where it does not fit. */
function checked(kind: Kind, value: number, { at }: { at: number }): Scalar {
  const fits = kind === "u32"
    ? value >= 0 && value <= 0xffffffff
    : kind === "i32"
    ? value >= -0x80000000 && value <= 0x7fffffff
    : kind === "int"
    ? Number.isSafeInteger(value)
    : Number.isFinite(value);
  if (!fits || INTEGER.test(kind) && !Number.isInteger(value)) {
    throw new WgslFault(`${value} is not within ${kind === "int" ? "64 bits" : kind}`, at);
  }
  return { kind, value: kind === "f32" ? Math.fround(value) : value };
}

function convert({ kind, value }: Scalar, to: Kind, e: Expression, explicit = false): Scalar {
  if (to === "bool") return { kind: to, value: Number(value !== 0) };
  if (!INTEGER.test(to)) return checked(to, value, e);
  if (!explicit) return checked(to, value, e);
  const whole = INTEGER.test(kind) ? BigInt(value) : BigInt(Math.trunc(value));
  return { kind: to, value: Number(to === "u32" ? BigInt.asUintN(32, whole) : BigInt.asIntN(32, whole)) };
}

function commonKind(a: Kind, b: Kind, e: Expression): Kind {
  if (a === b) return a;
  const abstract = (k: Kind) => k === "int" || k === "float";
  if (abstract(a) && abstract(b)) return "float";
  if (abstract(a) && b !== "bool" && !(a === "float" && INTEGER.test(b))) return b;
  if (abstract(b) && a !== "bool" && !(b === "float" && INTEGER.test(a))) return a;
  throw new WgslFault(`${a} and ${b} do not go together`, e.at);
}

function unary(mark: string, { kind, value }: Scalar, e: Expression): Scalar {
  if (mark === "!" && kind === "bool") return { kind, value: 1 - value };
  if (mark === "-" && kind !== "bool" && kind !== "u32") return checked(kind, -value, e);
  if (mark === "~" && kind === "u32") return { kind, value: ~value >>> 0 };
  if (mark === "~" && INTEGER.test(kind)) return { kind, value: -value - 1 };
  throw beyond(e);
}

const COMPARE: Record<string, (a: number, b: number) => boolean> = {
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  ">": (a, b) => a > b,
  "<=": (a, b) => a <= b,
  ">=": (a, b) => a >= b,
};

function binary(mark: string, a: Scalar, b: Scalar, e: Expression): Scalar {
  if (mark === "<<" || mark === ">>") {
    if (!INTEGER.test(a.kind) || !INTEGER.test(b.kind) || b.value < 0 || b.value > 63) throw beyond(e);
    return whole(mark, a.kind, BigInt(a.value), BigInt(b.value), e);
  }
  const kind = commonKind(a.kind, b.kind, e);
  if (mark in COMPARE) return { kind: "bool", value: Number(COMPARE[mark](a.value, b.value)) };
  if (kind === "bool") {
    const [x, y] = [a.value, b.value];
    return { kind, value: mark.startsWith("&") ? x & y : mark.startsWith("|") ? x | y : x ^ y };
  }
  if (INTEGER.test(kind)) return whole(mark, kind, BigInt(a.value), BigInt(b.value), e);
  const value = mark === "+"
    ? a.value + b.value
    : mark === "-"
    ? a.value - b.value
    : mark === "*"
    ? a.value * b.value
    : mark === "/"
    ? a.value / b.value
    : a.value % b.value;
  return checked(kind, value, e);
}

function whole(mark: string, kind: Kind, a: bigint, b: bigint, e: Expression): Scalar {
  if ((mark === "/" || mark === "%") && b === 0n) throw new WgslFault("a division by zero", e.at);
  const results: Record<string, () => bigint> = {
    "+": () => a + b,
    "-": () => a - b,
    "*": () => a * b,
    "/": () => a / b,
    "%": () => a % b,
    "&": () => a & b,
    "|": () => a | b,
    "^": () => a ^ b,
    "<<": () => a << b,
    ">>": () => a >> b,
  };
  const value = results[mark]?.();
  if (value === undefined) throw beyond(e);
  if (kind === "u32") return { kind, value: Number(BigInt.asUintN(32, value)) };
  return checked(kind, Number(value), e);
}
