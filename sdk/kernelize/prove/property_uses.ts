/**
 * Which properties of a module others use while the model is traced: what a layout that takes its place may lack.
 *
 *   this.norm.eps  in the parent's forward ─► noted        this.eps  in the norm's own ─► its own business
 *
 * For the length of a trace the instance's properties are accessors, and what it inherits (up to `Module`) is
 * shadowed by some. No class and no prototype is touched.
 */
import { Module } from "../../nn/mod.ts";

/** Notes each use of each module's properties until the returned function is called. */
export function watchProperties(
  modules: Iterable<Module>,
  note: (module: Module, key: string) => void,
): () => void {
  const ends = [...modules].map((m) => watch(m, (key) => note(m, key)));
  return () => ends.forEach((end) => end());
}

// ---------------------------------------------------------------------------

function watch(module: Module, note: (key: string) => void): () => void {
  const ends: (() => void)[] = [];
  if (!Object.isExtensible(module)) return () => {}; // sealed or frozen: it cannot be watched
  for (const [key, held] of Object.entries(Object.getOwnPropertyDescriptors(module))) {
    if (held.configurable && key !== "forward") ends.push(guard(module, key, held, note));
  }
  for (
    let at = Object.getPrototypeOf(module);
    at && at !== Module.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    for (const [key, held] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      // What every module has, a layout has too.
      const common = key === "constructor" || key === "forward" || key in Module.prototype;
      if (!common && !Object.hasOwn(module, key)) ends.push(guard(module, key, held, note, true));
    }
  }
  return () => ends.forEach((end) => end());
}

function guard(
  module: Module,
  key: string,
  held: PropertyDescriptor,
  note: (key: string) => void,
  inherited = false,
): () => void {
  let own = !inherited;
  const get = () => {
    note(key);
    return held.get ? held.get.call(module) : held.value;
  };
  const set = (value: unknown) => {
    note(key);
    if (held.set) return held.set.call(module, value);
    held = own ? { ...held, value } : { value, writable: true, configurable: true, enumerable: true };
    own = true;
  };
  const { enumerable } = held;
  Object.defineProperty(module, key, { get, set, enumerable, configurable: true });
  return () => {
    if (Object.getOwnPropertyDescriptor(module, key)?.get !== get) return; // the forward made it again, or deleted it
    if (own) Object.defineProperty(module, key, held);
    else delete (module as unknown as Record<string, unknown>)[key];
  };
}
