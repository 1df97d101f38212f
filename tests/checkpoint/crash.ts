/** A process that ends before its n-th file operation, without one: that operation and all later ones do nothing. */
import process from "node:process";
import * as files from "node:fs/promises";

const HANDLE = ["write", "sync"];

/** Runs `run`, and ends its world before its n-th file operation. Tells how many were begun. */
export async function endedBefore(n: number, run: () => Promise<unknown>): Promise<number> {
  let begun = 0;
  const step = () => {
    if (begun++ >= n) throw new Error("the process has ended");
  };
  const handleOf = (handle: files.FileHandle) =>
    new Proxy(handle, {
      get(target, name) {
        // deno-lint-ignore no-explicit-any
        const found = (target as any)[name];
        if (typeof found !== "function") return found;
        return (...args: unknown[]) => {
          if (HANDLE.includes(String(name))) step();
          if (name === "sync") return Promise.resolve(); // slow, and nothing here turns the machine off
          return found.apply(target, args);
        };
      },
    });
  const counted = new Proxy({ ...files } as typeof files, {
    get(target, name) {
      // deno-lint-ignore no-explicit-any
      const found = (target as any)[name];
      if (typeof found !== "function") return found;
      return async (...args: unknown[]) => {
        step();
        const result = await found(...args);
        return name === "open" ? handleOf(result) : result;
      };
    },
  });
  const real = process.getBuiltinModule;
  process.getBuiltinModule =
    ((name: string) => name === "node:fs/promises" ? counted : real.call(process, name)) as typeof real;
  try {
    await run().catch(() => {});
  } finally {
    process.getBuiltinModule = real;
  }
  return begun;
}
