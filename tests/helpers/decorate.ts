/** Applies a class decorator as the language does, to a class that the compiler would not let it have. */
// deno-lint-ignore no-explicit-any -- that is the point
export function decorate<C extends abstract new (...args: any[]) => unknown>(decorator: any, cls: C): C {
  const initializers: ((this: C) => void)[] = [];
  const context = {
    kind: "class",
    name: cls.name,
    metadata: {},
    addInitializer: (fn: (this: C) => void) => initializers.push(fn),
  };
  const made = decorator(cls, context) ?? cls;
  for (const fn of initializers) fn.call(made);
  return made;
}
