/**
 * Stand-in for `@std/assert` where JSR is not reachable: the assertions that netloom's tests use,
 * over `node:assert`. `tests/std/contract_test.ts` pins what both do alike.
 *
 * @module
 */
import nodeAssert from "node:assert/strict";
import { isDeepStrictEqual as equal } from "node:util";

/** The constructor of a `T`, whatever its arguments. */
type Class<T> = abstract new (...args: never[]) => T;

/** Thrown by every failed assertion. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

function check(ok: boolean, expectation: string, msg?: string): void {
  if (!ok) throw new AssertionError(msg ? `${expectation}: ${msg}` : expectation);
}

function show(value: unknown): string {
  return Deno.inspect(value, { depth: 10 });
}

/** Asserts that `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Asserts that `expr` is falsy. */
export function assertFalse(expr: unknown, msg?: string): void {
  check(!expr, `Expected ${show(expr)} to be falsy`, msg);
}

/** Asserts deep equality; a key whose value is `undefined` counts as a key. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  try {
    nodeAssert.deepStrictEqual(actual, expected); // for its message, which shows the difference
  } catch (error) {
    check(false, (error as Error).message, msg);
  }
}

/** Asserts that two values are not deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  check(!equal(actual, expected), `Expected a value other than ${show(expected)}`, msg);
}

/** Asserts identity, as `Object.is` has it. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  check(Object.is(actual, expected), `Expected ${show(actual)} to be ${show(expected)}`, msg);
}

/** Asserts that a value is neither `null` nor `undefined`. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  check(actual != null, `Expected ${show(actual)} to be neither null nor undefined`, msg);
}

/** Asserts that a value is an instance of a class. */
export function assertInstanceOf<T>(
  actual: unknown,
  expectedType: Class<T>,
  msg?: string,
): asserts actual is T {
  const ok = actual instanceof expectedType;
  check(ok, `Expected ${show(actual)} to be an instance of ${expectedType.name}`, msg);
}

/** Asserts that a string matches a pattern. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  check(expected.test(actual), `Expected ${show(actual)} to match ${expected}`, msg);
}

/** Asserts that a string contains another. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  check(actual.includes(expected), `Expected ${show(actual)} to contain ${show(expected)}`, msg);
}

/** Asserts that every item of `expected` is deeply equal to some item of `actual`. */
export function assertArrayIncludes<T>(
  actual: ArrayLike<T>,
  expected: ArrayLike<T>,
  msg?: string,
): void {
  const items = Array.from(actual);
  const missing = Array.from(expected).filter((item) => !items.some((it) => equal(it, item)));
  check(missing.length === 0, `Expected ${show(items)} to include ${show(missing)}`, msg);
}

/** Asserts that `actual` has, deeply, all that `expected` has; it may have more. */
export function assertObjectMatch(
  actual: Record<PropertyKey, unknown>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  assertEquals(pick(actual, expected), pick(expected, expected), msg);
}

/** What of `value` is in `shape` too. */
function pick(value: unknown, shape: unknown): unknown {
  if (Array.isArray(value) && Array.isArray(shape)) {
    return value.slice(0, shape.length).map((item, i) => pick(item, shape[i]));
  }
  if (!isRecord(value) || !isRecord(shape)) return value;
  const common = Reflect.ownKeys(shape).filter((key) => Object.hasOwn(value, key));
  return Object.fromEntries(common.map((key) => [key, pick(value[key], shape[key])]));
}

function isRecord(value: unknown): value is Record<PropertyKey, unknown> {
  return Object.prototype.toString.call(value) === "[object Object]";
}

/** Asserts `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  check(actual > expected, `Expected ${show(actual)} > ${show(expected)}`, msg);
}

/** Asserts `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  check(actual >= expected, `Expected ${show(actual)} >= ${show(expected)}`, msg);
}

/** Asserts `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  check(actual < expected, `Expected ${show(actual)} < ${show(expected)}`, msg);
}

/** Asserts `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  check(actual <= expected, `Expected ${show(actual)} <= ${show(expected)}`, msg);
}

/** Asserts that two numbers differ by `tolerance` at most, by default 1e-7 of `expected`. */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance: number = Math.abs(expected * 1e-7),
  msg?: string,
): void {
  const ok = Object.is(actual, expected) || Math.abs(expected - actual) <= tolerance;
  check(ok, `Expected ${actual} to be within ${tolerance} of ${expected}`, msg);
}

/** Asserts that `fn` throws and returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Asserts that `fn` throws an `ErrorClass` whose message has `msgIncludes`, and returns it. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(fn: () => unknown, ...expected: Expected): unknown {
  try {
    fn();
  } catch (error) {
    return checkError(error, expected);
  }
  return check(false, "Expected function to throw", messageOf(expected));
}

/** Asserts that the promise of `fn` rejects and resolves to the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Asserts that it rejects with an `ErrorClass` whose message has `msgIncludes`. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  ...expected: Expected
): Promise<unknown> {
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch {
    return check(false, "Function throws when expected to reject", messageOf(expected));
  }
  try {
    await promise;
  } catch (error) {
    return checkError(error, expected);
  }
  return check(false, "Expected function to reject", messageOf(expected));
}

/** What may follow the function: a message, or a class with what its message includes. */
type Expected =
  | [msg?: string | undefined]
  | [ErrorClass: Class<Error>, msgIncludes?: string | undefined, msg?: string | undefined];

function messageOf([first, , msg]: Expected): string | undefined {
  return typeof first === "function" ? msg : first;
}

function checkError(error: unknown, expected: Expected): unknown {
  const [ErrorClass, msgIncludes = ""] = expected;
  if (typeof ErrorClass !== "function") return error;
  assertInstanceOf(error, ErrorClass, messageOf(expected));
  assertStringIncludes(error.message, msgIncludes, messageOf(expected));
  return error;
}

/** Fails. */
export function fail(msg?: string): never {
  throw new AssertionError(msg ? `Failed assertion: ${msg}` : "Failed assertion");
}

/** Fails where the code must not come. */
export function unreachable(msg?: string): never {
  throw new AssertionError(msg ? `Unreachable: ${msg}` : "Unreachable");
}
