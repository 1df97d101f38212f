/** Stand-in for `@std/assert`: the same names and signatures, comparing with `node:assert`. @module */
import nodeAssert from "node:assert";

/** What a failed assertion throws. */
export class AssertionError extends Error {
  /** An error with this message. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

// deno-lint-ignore no-explicit-any
type AnyConstructor = new (...args: any[]) => any;
// deno-lint-ignore no-explicit-any
type ErrorClass<E extends Error = Error> = abstract new (...args: any[]) => E;

/** A type without its `null` and `undefined` fails; anything truthy passes. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Fails. */
export function fail(msg?: string): never {
  throw new AssertionError(`Failed assertion${msg ? `: ${msg}` : "."}`);
}

/** Whether two values have the same structure. */
export function equal(a: unknown, b: unknown): boolean {
  try {
    nodeAssert.deepStrictEqual(a, b);
    return true;
  } catch {
    return false;
  }
}

/** The two have the same structure. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  try {
    nodeAssert.deepStrictEqual(actual, expected);
  } catch (error) {
    throw new AssertionError(`Values are not equal${tail(msg)}\n${(error as Error).message}`);
  }
}

/** The two differ in structure. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!equal(actual, expected)) return;
  throw new AssertionError(`Expected actual: ${show(actual)} not to be: ${show(expected)}${tail(msg)}`);
}

/** The two are the same value, as `Object.is` has it. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  if (Object.is(actual, expected)) return;
  throw new AssertionError(
    `Values are not strictly equal${tail(msg)}\n  actual:   ${show(actual)}\n  expected: ${show(expected)}`,
  );
}

/** The two are not the same value. */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!Object.is(actual, expected)) return;
  throw new AssertionError(`Expected "actual" to not be strictly equal to: ${show(actual)}${tail(msg)}`);
}

/** The value is neither `null` nor `undefined`. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual !== undefined && actual !== null) return;
  throw new AssertionError(`Expected actual: "${actual}" to not be null or undefined${tail(msg)}`);
}

/** The value is falsy. */
export function assertFalse(expr: unknown, msg = ""): asserts expr is false | 0 | "" | null | undefined {
  if (expr) throw new AssertionError(msg);
}

/** The value is an instance of the class. */
export function assertInstanceOf<T extends AnyConstructor>(
  actual: unknown,
  expectedType: T,
  msg?: string,
): asserts actual is InstanceType<T> {
  if (actual instanceof expectedType) return;
  const kind = (actual as object | null | undefined)?.constructor?.name ?? typeof actual;
  throw new AssertionError(
    `Expected object to be an instance of "${expectedType.name}" but was "${kind}"${tail(msg)}`,
  );
}

/** The numbers are at most `tolerance` apart. */
export function assertAlmostEquals(actual: number, expected: number, tolerance?: number, msg?: string): void {
  if (Object.is(actual, expected)) return;
  const delta = Math.abs(expected - actual);
  tolerance ??= Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7;
  if (delta <= tolerance) return;
  throw new AssertionError(
    `Expected actual: "${actual}" to be close to "${expected}": delta "${delta}" is greater than ` +
      `"${tolerance}"${tail(msg)}`,
  );
}

/** `actual` is greater. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (actual > expected) return;
  throw new AssertionError(`Expect ${show(actual)} > ${show(expected)}${tail(msg)}`);
}

/** `actual` is greater or equal. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (actual >= expected) return;
  throw new AssertionError(`Expect ${show(actual)} >= ${show(expected)}${tail(msg)}`);
}

/** `actual` is less. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (actual < expected) return;
  throw new AssertionError(`Expect ${show(actual)} < ${show(expected)}${tail(msg)}`);
}

/** `actual` is less or equal. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (actual <= expected) return;
  throw new AssertionError(`Expect ${show(actual)} <= ${show(expected)}${tail(msg)}`);
}

/** The text contains the other. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (actual.includes(expected)) return;
  throw new AssertionError(`Expected actual: "${actual}" to contain: "${expected}"${tail(msg)}`);
}

/** The text matches the pattern. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) return;
  throw new AssertionError(`Expected actual: "${actual}" to match: "${expected}"${tail(msg)}`);
}

/** The text does not match the pattern. */
export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) return;
  throw new AssertionError(`Expected actual: "${actual}" to not match: "${expected}"${tail(msg)}`);
}

/** The list contains every expected item. */
export function assertArrayIncludes<T>(actual: ArrayLike<T>, expected: ArrayLike<T>, msg?: string): void {
  const have = Array.from(actual);
  const missing = Array.from(expected).filter((item) => !have.some((other) => equal(item, other)));
  if (missing.length === 0) return;
  throw new AssertionError(
    `Expected actual: ${show(have)} to include: ${show(Array.from(expected))}${tail(msg)}\n` +
      `missing: ${show(missing)}`,
  );
}

/** The object has what `expected` has; more is fine. */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  assertEquals(pick(actual, expected), expected as unknown, msg);
}

/** `fn` throws; returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** `fn` throws an error of the class whose message includes the text; returns it. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  classOrMsg?: ErrorClass | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  try {
    fn();
  } catch (error) {
    return checkError(error, classOrMsg, msgIncludes, msg);
  }
  throw new AssertionError(
    `Expected function to throw${tail(typeof classOrMsg === "string" ? classOrMsg : msg)}`,
  );
}

/** The promise of `fn` is rejected; returns with what. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** The promise of `fn` is rejected with an error of the class whose message includes the text. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: ErrorClass | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const suffix = tail(typeof classOrMsg === "string" ? classOrMsg : msg);
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch {
    throw new AssertionError(`Function throws when expected to reject${suffix}`);
  }
  try {
    await promise;
  } catch (error) {
    return checkError(error, classOrMsg, msgIncludes, msg);
  }
  throw new AssertionError(`Expected function to reject${suffix}`);
}

// ---------------------------------------------------------------------------------------------------------

function checkError(
  error: unknown,
  classOrMsg?: ErrorClass | string,
  includes?: string,
  msg?: string,
): unknown {
  if (typeof classOrMsg !== "function") return error;
  if (!(error instanceof classOrMsg)) {
    const got = error instanceof Error ? `${error.constructor.name}: ${error.message}` : show(error);
    throw new AssertionError(
      `Expected error to be instance of "${classOrMsg.name}", but was "${got}"${tail(msg)}`,
    );
  }
  if (includes !== undefined && !error.message.includes(includes)) {
    throw new AssertionError(
      `Expected error message to include "${includes}", but got "${error.message}"${tail(msg)}`,
    );
  }
  return error;
}

/** The part of `actual` that `expected` speaks of. */
function pick(actual: unknown, expected: unknown): unknown {
  if (!isPlain(actual) || !isPlain(expected)) return actual;
  if (Array.isArray(expected)) {
    return Array.isArray(actual) && actual.length === expected.length
      ? actual.map((item, i) => pick(item, expected[i]))
      : actual;
  }
  const keys = Reflect.ownKeys(expected).filter((key) => key in actual);
  return Object.fromEntries(keys.map((key) => [key, pick(actual[key], expected[key])]));
}

function isPlain(value: unknown): value is Record<PropertyKey, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const proto = Object.getPrototypeOf(value);
  return proto === Object.prototype || proto === null || proto === Array.prototype;
}

function show(value: unknown): string {
  return Deno.inspect(value, { depth: 5, strAbbreviateSize: Infinity });
}

function tail(msg?: string): string {
  return msg ? `: ${msg}` : ".";
}
