import { checkArgument, refuseArgument, showValue } from "../arguments.ts";
import { checkClassDecorator } from "../decorator.ts";
import { raise } from "../errors.ts";
import type { Module, ModuleClass } from "./module.ts";

/**
 * Marks a class as replaceable under a name, and has each instance remember the arguments it was built with.
 *
 * A subclass does not inherit the name: Gemma's norm extends nothing of Llama's meaning by extending its code.
 *
 * @example
 * ```ts
 * import { layer, makeReplaceable, Module, replaceableFunction, type Tensor } from "@kernelwright/sdk";
 * import { layerName } from "@kernelwright/sdk/nn";
 * import { mul, scale, silu } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * @layer("Doubling") // kernels.json may replace "Doubling"
 * class Doubling extends Module {
 *   override forward(x: Tensor): Tensor {
 *     return scale(x, 2);
 *   }
 * }
 * const SquaredSilu = replaceableFunction("squared_silu", (x: Tensor) => mul(silu(x), silu(x)));
 * class Theirs extends Doubling {} // somebody else's, and so without a name
 * makeReplaceable(Theirs, "Theirs", { argumentsOf: () => [] }); // what its constructor took
 * assertEquals([new Doubling(), new SquaredSilu(), new Theirs()].map(layerName), ["Doubling", "squared_silu", "Theirs"]);
 * ```
 */
export function layer(name: string): <C extends ModuleClass>(cls: C, context: ClassDecoratorContext<C>) => C {
  checkName(name);
  return (cls, context) => {
    checkClassDecorator("@layer", cls, context);
    // A proxy, since only construction shows the arguments; the prototype stays the class's own.
    const recording = new Proxy(cls, {
      construct(target, args, newTarget): object {
        const made = Reflect.construct(target, args, newTarget);
        if (newTarget === recording) builtWith.set(made, args);
        return made;
      },
    });
    // So that `instance.constructor` is the class that everybody else knows, and building from it is recorded too.
    Object.defineProperty(cls.prototype, "constructor", {
      value: recording,
      writable: true,
      configurable: true,
    });
    names.set(cls.prototype, name);
    return recording;
  };
}

/** How a class that one does not own is made replaceable. */
export interface ReplaceableOptions<M extends Module> {
  /** The constructor's arguments, read off an instance: they cannot be recorded for a class that is not decorated. */
  readonly argumentsOf?: (module: M) => readonly unknown[];
}

/**
 * Marks a class that one does not own as replaceable under a name. The class itself is not changed.
 * See the example of {@linkcode layer}.
 */
export function makeReplaceable<C extends ModuleClass>(
  cls: C,
  name: string,
  options: ReplaceableOptions<InstanceType<C>> = {},
): void {
  checkArgument("makeReplaceable(): cls", cls, "a class");
  checkArgument("makeReplaceable(): options", options, "an object");
  if (!cls.prototype) refuseArgument("makeReplaceable(): cls", cls, "a class");
  checkName(name);
  names.set(cls.prototype, name);
  if (options.argumentsOf) {
    readers.set(cls.prototype, options.argumentsOf as (m: Module) => readonly unknown[]);
  }
}

/**
 * The name under which a module can be replaced, if its own class was marked.
 *
 * @example
 * ```ts
 * import { layerName, RMSNorm } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(layerName(new RMSNorm(64)), "RMSNorm");
 * ```
 */
export function layerName(module: Module): string | undefined {
  if (typeof module !== "object" || module === null) {
    refuseArgument("layerName(): module", module, "a Module");
  }
  return names.get(Object.getPrototypeOf(module));
}

/**
 * The name under which a class was marked, if it was.
 *
 * @example
 * ```ts
 * import { layerNameOfClass, RMSNorm } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(layerNameOfClass(RMSNorm), "RMSNorm");
 * ```
 */
export function layerNameOfClass(cls: ModuleClass): string | undefined {
  checkArgument("layerNameOfClass(): cls", cls, "a class");
  return names.get(cls.prototype);
}

/**
 * The arguments that a module was built with, if they are known.
 *
 * @example
 * ```ts
 * import { constructorArguments, RMSNorm } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(constructorArguments(new RMSNorm(64, 1e-5)), [64, 1e-5]);
 * ```
 */
export function constructorArguments(module: Module): readonly unknown[] | undefined {
  if (typeof module !== "object" || module === null) {
    refuseArgument("constructorArguments(): module", module, "a Module");
  }
  return builtWith.get(module) ?? readers.get(Object.getPrototypeOf(module))?.(module);
}

// ---------------------------------------------------------------------------

// Keyed by prototype: the decorated class and the proxy around it share it.
const names = new WeakMap<object, string>();
const readers = new WeakMap<object, (m: Module) => readonly unknown[]>();
const builtWith = new WeakMap<object, readonly unknown[]>();

function checkName(name: string): void {
  if (typeof name !== "string" || !/^[A-Za-z_][\w-]*$/.test(name)) {
    raise(
      "KW-LAYER-NAME",
      `Cannot mark a layer as ${showValue(name)}`,
      "Use letters, digits, _ and -, beginning with a letter.",
    );
  }
}
