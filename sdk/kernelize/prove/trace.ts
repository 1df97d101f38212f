/**
 * What a model does with its values, seen by running it once on the meta device.
 *
 *   call layers.0 ──────────────────────────────────────┐
 *     call layers.0.norm      reads A, returns B        │   every operator and every call is an event;
 *     op  add                 reads B                   │   a value is told by its storage, so that a
 *     call layers.0.mlp       reads B, returns C        │   reshape of B is still B
 *   return C ────────────────────────────────────────────┘
 *
 * Nothing is computed: parameters may have values or not. Properties that a forward sets are put back afterwards.
 */
import { KernelwrightError, raise } from "../../errors.ts";
import { type Module, withObserver } from "../../nn/mod.ts";
import { type Storage, Tensor, tensorsIn, type Tracer, withTracer } from "../../tensor/mod.ts";
import { watchProperties } from "./property_uses.ts";
import { snapshot } from "./snapshot.ts";
import type { TreeIndex } from "../match/tree.ts";

/** A module that was run. */
export interface TracedCall {
  /** The module. */
  readonly module: Module;
  /** The call that it was made in; undefined for the root's. */
  readonly caller: TracedCall | undefined;
  /** Its arguments. */
  readonly args: readonly unknown[];
  /** What it returned. */
  result: unknown;
  /** The storages of all tensors that it returned: the tensors themselves may be released later. */
  returned: ReadonlySet<Storage>;
  /** Its place among all events. */
  readonly order: number;
}

/** Something that read or wrote values. */
export interface TracedOp {
  /** The operator's name. */
  readonly name: string;
  /** What it read. */
  readonly inputs: readonly Tensor[];
  /** What it made or wrote. */
  readonly outputs: readonly Tensor[];
  /** The call that it happened in. */
  readonly caller: TracedCall | undefined;
  /** Its place among all events. */
  readonly order: number;
}

/** A property of a module that something outside of it used. */
export interface PropertyUse {
  /** The property. */
  readonly key: string;
  /** The call that it was used in. */
  readonly caller: TracedCall;
}

/** One run on meta. */
export interface Trace {
  /** Every module call, in order. */
  readonly calls: readonly TracedCall[];
  /** Calls by module. */
  readonly callsOf: ReadonlyMap<Module, readonly TracedCall[]>;
  /** Operators by what they read or wrote. */
  readonly readers: ReadonlyMap<Storage, readonly TracedOp[]>;
  /** Operators by what they made or wrote. */
  readonly writers: ReadonlyMap<Storage, readonly TracedOp[]>;
  /** Calls by the values that they were given, in order. */
  readonly given: ReadonlyMap<Storage, readonly TracedCall[]>;
  /** Where a forward put tensors that outlive it, `stored as "path.property"`, by the tensor's storage. */
  readonly stored: ReadonlyMap<Storage, string>;
  /** What others used of the modules that were watched. */
  readonly uses: ReadonlyMap<Module, readonly PropertyUse[]>;
}

/**
 * Runs `root` on meta.
 *
 * @param inputs What the root's forward takes; tensors of any device.
 * @param watched Modules whose properties' uses by others are noted.
 * @throws KW-TRACE-FORWARD when the forward fails for a reason that is not ours.
 */
export function traceModel(
  root: Module,
  tree: TreeIndex,
  inputs: readonly unknown[],
  watched: readonly Module[] = [],
): Trace {
  const calls: TracedCall[] = [];
  const callsOf = new Map<Module, TracedCall[]>();
  const readers = new Map<Storage, TracedOp[]>();
  const writers = new Map<Storage, TracedOp[]>();
  const given = new Map<Storage, TracedCall[]>();
  const uses = new Map<Module, PropertyUse[]>();
  let current: TracedCall | undefined;
  let order = 0;

  const tracer: Tracer = {
    op(name, ins, outs) {
      const op: TracedOp = { name, inputs: ins, outputs: outs, caller: current, order: order++ };
      // A call that overwrites a value depends on it as much as one that reads it.
      for (const storage of new Set([...ins, ...outs].map((t) => t.storage))) push(readers, storage, op);
      if (name === "reshape") return;
      for (const { origin } of new Set(outs.map((t) => t.storage))) push(writers, origin, op);
    },
  };
  const observer = {
    call(module: Module, args: readonly unknown[], next: () => unknown): unknown {
      const call: TracedCall = {
        module,
        caller: current,
        args,
        result: undefined,
        returned: new Set(),
        order: order++,
      };
      calls.push(call);
      push(callsOf, module, call);
      for (const storage of storagesIn(args)) push(given, storage, call);
      current = call;
      try {
        call.result = next();
        call.returned = storagesIn(call.result);
        return call.result;
      } catch (cause) {
        // The innermost module names itself; the ones around it only pass it on.
        if (cause instanceof KernelwrightError) throw cause;
        const path = tree.byModule.get(module)?.path ?? module.constructor.name;
        raise(
          "KW-TRACE-FORWARD",
          `The forward of ${module.constructor.name} failed on meta: ${String(cause)}`,
          "A forward must not look at values or at the host's state.",
          { site: path },
          cause,
        );
      } finally {
        current = call.caller;
      }
    },
  };

  const before = snapshot(tree.nodes.map((n) => [n.path, n.module]));
  // What the caller gave is put back too: a forward may count in it.
  const arguments_ = snapshot(inputs.filter(isObject).map((v) => ["an argument of the model", v]));
  const unwatch = watchProperties(watched, (module, key) => {
    if (current && !within(current, module)) push(uses, module, { key, caller: current });
  });
  try {
    try {
      withTracer(tracer, () => withObserver(observer, () => root.call(...inputs)));
    } finally {
      unwatch();
    }
    const stored = new Map<Storage, string>();
    const note = (t: Tensor, how: string) => void (t.released || stored.set(t.storage, how));
    for (const [, t] of arguments_.added()) note(t, "put into an argument of the model");
    for (const [place, t] of before.added()) note(t, `stored as "${place}"`);
    return { calls, callsOf, readers, writers, given, stored, uses };
  } finally {
    before.restore();
    arguments_.restore();
  }
}

/** Runs a module's or kernel's forward alone on meta, e.g. to see what it returns. */
export function runOnMeta<T>(fn: () => T): T {
  return withTracer({ op: () => {} }, fn);
}

/** `layers.0.self_attn`, or what the parent itself does, as messages name a reader. */
export function describeReader(op: TracedOp, parent: Module, tree: TreeIndex): string {
  let call = op.caller;
  while (call && call.module !== parent && call.caller?.module !== parent) call = call.caller;
  if (call?.module === parent) return `${op.name} in the forward of ${parent.constructor.name}`;
  const { module } = call ?? op.caller ?? { module: parent }; // outside of the parent: the module itself
  const path = tree.byModule.get(module)?.path;
  return path ? `"${path}"` : `${op.name} in the forward of ${module.constructor.name}`;
}

/** Whether an operator ran inside a call of `module`. */
export function happenedIn(op: TracedOp, module: Module): boolean {
  return within(op.caller, module);
}

/** Whether a call is one of `module`, or was made inside one. */
export function within(call: TracedCall | undefined, module: Module): boolean {
  for (let at = call; at; at = at.caller) if (at.module === module) return true;
  return false;
}

// ---------------------------------------------------------------------------

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

function storagesIn(value: unknown): Set<Storage> {
  return new Set([...tensorsIn(value)].filter((t) => !t.released).map((t) => t.storage));
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !(value instanceof Tensor);
}
