/** A value that holds while a function runs, e.g. a tracer: set around the call, and put back whatever it throws. */
export interface Ambient<T> {
  /** The value that holds here. */
  readonly current: T;
  /** Runs `fn` with a value. */
  run<R>(value: T, fn: () => R): R;
}

/** Makes an {@linkcode Ambient} with the value that holds outside. */
export function ambient<T>(outside: T): Ambient<T> {
  return {
    current: outside,
    run<R>(this: { current: T }, value: T, fn: () => R): R {
      const before = this.current;
      this.current = value;
      try {
        return fn();
      } finally {
        this.current = before;
      }
    },
  };
}
