import { checkArgument, checkInstance } from "../arguments.ts";
import { KernelwrightError, raise, subjectOf } from "../errors.ts";
import { type DType, formatSpec, Parameter, scope, Tensor } from "../tensor/mod.ts";
import { observed } from "./observe.ts";

/** Arguments of some forward. */
// deno-lint-ignore no-explicit-any -- a forward takes what it takes; Site and call() bring the types back
export type AnyArguments = any[];

/** A class of modules. */
export type ModuleClass = abstract new (...args: AnyArguments) => Module;

/**
 * A piece of a model: parameters and child modules, found by looking at its own properties.
 *
 * There are no registration calls: a property that holds a {@linkcode Parameter} or a `Module` is one. The
 * property's name is the checkpoint's name, so the path in the tree is the key in the checkpoint.
 *
 * @example
 * ```ts
 * import { Module, type Tensor } from "@kernelwright/sdk";
 * import { Linear } from "@kernelwright/sdk/nn";
 * import { silu } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * class FeedForward extends Module {
 *   w1: Linear = new Linear(64, 172, false);
 *   w2: Linear = new Linear(172, 64, false);
 *   override forward(x: Tensor): Tensor {
 *     return this.w2.call(silu(this.w1.call(x)));
 *   }
 * }
 * assertEquals([...new FeedForward().stateDict().keys()], ["w1.weight", "w2.weight"]);
 * ```
 */
export abstract class Module {
  // Nominal: something that merely looks like a module does not fit where one is asked for.
  #training = false;

  /** What the module computes. A parent runs a child with {@linkcode Module.call}. */
  abstract forward(...args: AnyArguments): unknown;

  /** Whether the module is in training mode; see {@linkcode Module.train}. */
  get training(): boolean {
    return this.#training;
  }

  /**
   * Runs {@linkcode Module.forward}. Tensors made inside and not returned are released when it ends; what a
   * forward stores elsewhere it must `keep()`.
   */
  call<This extends Module>(this: This, ...args: Parameters<This["forward"]>): ReturnType<This["forward"]> {
    running++;
    try {
      return observed(this, args, () => scope(() => this.forward(...args))) as ReturnType<This["forward"]>;
    } catch (error) {
      throw running === 1 ? withPath(error, this) : error; // the outermost knows the whole path
    } finally {
      running--;
    }
  }

  /** The child modules, by property name. */
  *children(): Generator<[name: string, child: Module]> {
    for (const [name, value] of Object.entries(this)) if (value instanceof Module) yield [name, value];
  }

  /** The module itself (path `""`) and everything below it, by path. A module that is reached twice comes once. */
  *namedModules(prefix = "", seen: Set<Module> = new Set()): Generator<[path: string, module: Module]> {
    if (seen.has(this)) return;
    seen.add(this);
    yield [prefix, this];
    for (const [name, child] of this.children()) yield* child.namedModules(joinPath(prefix, name), seen);
  }

  /** The module's own parameters, by property name. */
  *parameters(): Generator<[name: string, parameter: Parameter]> {
    for (const [name, value] of Object.entries(this)) if (value instanceof Parameter) yield [name, value];
  }

  /** Every parameter in the tree, by path. Tied parameters come once for each path. */
  *namedParameters(): Generator<[path: string, parameter: Parameter]> {
    for (const [path, module] of this.namedModules()) {
      for (const [name, parameter] of module.parameters()) yield [joinPath(path, name), parameter];
    }
  }

  /** Every parameter by its path: the keys of a checkpoint. */
  stateDict(): Map<string, Parameter> {
    return new Map(this.namedParameters());
  }

  /**
   * Fills parameters from tensors of the same paths and shapes; the tensors are taken over.
   *
   * @param options.strict Whether missing and unexpected keys are errors; defaults to true.
   * @returns The keys that had no tensor, and those that had no parameter.
   * @throws KW-STATE-KEYS, KW-TENSOR-SHAPE; then nothing was changed.
   */
  loadStateDict(
    tensors: ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>,
    options: { readonly strict?: boolean } = {},
  ): { missing: string[]; unexpected: string[] } {
    checkArgument("loadStateDict(): tensors", tensors, "an object");
    checkArgument("loadStateDict(): options", options, "an object");
    const given = tensors instanceof Map ? tensors : new Map(Object.entries(tensors));
    const own = this.stateDict();
    const filled = new Set([...own].filter(([key]) => given.has(key)).map(([, p]) => p));
    const missing = [...own].filter(([, p]) => !filled.has(p)).map(([key]) => key);
    const unexpected = [...given.keys()].filter((key) => !own.has(key));
    if ((options.strict ?? true) && missing.length + unexpected.length > 0) {
      raise(
        "KW-STATE-KEYS",
        `Cannot load the state dict: missing ${list(missing)}; unexpected ${list(unexpected)}`,
        "Give exactly the keys of stateDict(), or pass { strict: false }.",
      );
    }
    for (const [key, t] of given) {
      const p = own.get(key);
      if (p) checkInstance(`loadStateDict(): "${key}"`, t, Tensor);
      if (p && (p.shape.length !== t.shape.length || p.shape.some((d, i) => d !== t.shape[i]))) {
        raise(
          "KW-TENSOR-SHAPE",
          `Cannot load ${t.describe()} into a parameter of shape [${p.shape.join(", ")}]`,
          undefined,
          { key },
        );
      }
    }
    for (const [key, t] of given) own.get(key)?.assign(t);
    return { missing, unexpected };
  }

  /** Puts the tree in training mode, or out of it. */
  train(mode = true): this {
    for (const [, module] of this.namedModules()) module.#training = mode;
    return this;
  }

  /** Puts the tree in inference mode. */
  eval(): this {
    return this.train(false);
  }

  /** Declares every floating-point parameter that is still on meta to be of `dtype`. Returns the module. */
  to(dtype: DType): this {
    for (const [path, p] of this.namedParameters()) {
      if (p.dtype === dtype) continue;
      if (p.materialized) {
        raise(
          "KW-TENSOR-DTYPE",
          `Cannot change the dtype of a parameter that has values`,
          `Load the model with dtype "${dtype}".`,
          {
            key: path,
          },
        );
      }
      p.unload(dtype);
    }
    return this;
  }

  /** Releases every parameter's memory; the tree stays, on meta. */
  dispose(): void {
    for (const [, p] of this.namedParameters()) p.unload();
  }

  /** Lets `using` statements dispose the module. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * `a` and `b` joined by a dot; either may be empty.
 *
 * @example
 * ```ts
 * import { joinPath } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([joinPath("layers.0", "mlp"), joinPath("", "mlp")], ["layers.0.mlp", "mlp"]);
 * ```
 */
export function joinPath(a: string, b: string): string {
  checkArgument("joinPath(): a", a, "a string");
  checkArgument("joinPath(): b", b, "a string");
  return a && b ? `${a}.${b}` : a || b;
}

/** The module at a path, or undefined. */
export function moduleAt(root: Module, path: string): Module | undefined {
  checkArgument("moduleAt(): path", path, "a string");
  let at: unknown = root;
  for (const name of path === "" ? [] : path.split(".")) {
    at = at instanceof Module && Object.hasOwn(at, name)
      ? (at as unknown as Record<string, unknown>)[name]
      : undefined;
  }
  return at instanceof Module ? at : undefined;
}

// ---------------------------------------------------------------------------

/** How many calls are under way, one in the other. */
let running = 0;

/** An error about a parameter, with its path. */
function withPath(error: unknown, root: Module): unknown {
  const subject = subjectOf(error);
  if (!(subject instanceof Tensor) || subject.released || !(error instanceof KernelwrightError)) return error;
  const found = [...root.namedParameters()].find(([, p]) => !p.released && p.storage === subject.storage);
  if (!found) return error;
  const [key] = found;
  const { what, where, ...rest } = error.diagnostic;
  const named = `${JSON.stringify(key)} ${formatSpec(subject)}`;
  return new KernelwrightError(
    { ...rest, what: what.replace(subject.describe(), () => named), where: { key, ...where } },
    error.cause,
  );
}

function list(keys: readonly string[]): string {
  if (keys.length === 0) return "none";
  return keys.slice(0, 5).join(", ") + (keys.length > 5 ? ` and ${keys.length - 5} more` : "");
}
