import { raise } from "../errors.ts";

/**
 * Checks that a kernel class has no state: no constructor parameters, no fields, no statics that can change.
 *
 * A kernel that remembers something from one call to the next cannot be captured, shared by sites or trusted in
 * another order. Afterwards the class is frozen, so that it stays so.
 *
 * @throws KW-KERNEL-STATE
 */
export function checkStateless(cls: new () => object, name: string): void {
  const where = { kernel: name };
  if (cls.length > 0) {
    raise(
      "KW-KERNEL-STATE",
      `The constructor of ${name} takes parameters`,
      "Leave the constructor out: what a kernel needs is in its layout.",
      where,
    );
  }
  const fields = Reflect.ownKeys(new cls());
  if (fields.length > 0) {
    raise(
      "KW-KERNEL-STATE",
      `${name} has fields: ${fields.map(String).join(", ")}`,
      "Keep parameters in the layout, and constants outside the class.",
      where,
    );
  }
  for (const [key, d] of Object.entries(Object.getOwnPropertyDescriptors(cls))) {
    if (BUILT_IN.includes(key) || typeof d.value === "function") continue;
    if (d.set || isMutable(d.value)) {
      raise(
        "KW-KERNEL-STATE",
        `The static "${key}" of ${name} can change`,
        "Freeze it, or keep it outside the class.",
        where,
      );
    }
  }
  Object.freeze(cls);
  Object.freeze(cls.prototype);
}

const BUILT_IN = ["length", "name", "prototype"];
const CONTAINERS = [Map, Set, WeakMap, WeakSet, ArrayBuffer, Date];

function isMutable(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false; // a primitive static is frozen with the class
  return CONTAINERS.some((c) => value instanceof c) || ArrayBuffer.isView(value) ||
    Array.isArray(value) && !Object.isFrozen(value) ||
    Object.getPrototypeOf(value) === Object.prototype && !Object.isFrozen(value);
}
