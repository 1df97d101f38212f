import { checkArgument } from "../arguments.ts";
import { layer } from "./layer.ts";
import { Module } from "./module.ts";

/** A class of modules whose forward is a function. */
// deno-lint-ignore no-explicit-any -- the function's own types come back through Parameters and ReturnType
export type FunctionModuleClass<F extends (...args: any[]) => unknown> = new () => Module & {
  forward(...args: Parameters<F>): ReturnType<F>;
};

/**
 * Makes a function replaceable: a class of modules that compute it. A module that uses the function holds an
 * instance of its own, and so each use has a path and can be swapped alone.
 * See the example of {@linkcode layer}.
 */
// deno-lint-ignore no-explicit-any -- see above
export function replaceableFunction<F extends (...args: any[]) => unknown>(
  name: string,
  fn: F,
): FunctionModuleClass<F> {
  checkArgument("replaceableFunction(): fn", fn, "a function");
  class FunctionModule extends Module {
    override forward(...args: Parameters<F>): ReturnType<F> {
      return fn(...args) as ReturnType<F>;
    }
  }
  Object.defineProperty(FunctionModule, "name", { value: name });
  return layer(name)(
    FunctionModule,
    { kind: "class" } as unknown as ClassDecoratorContext<typeof FunctionModule>,
  );
}
