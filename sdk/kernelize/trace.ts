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
import { inContext, KernelwrightError, raise } from "../errors.ts";
import { type Module, withObserver } from "../nn/mod.ts";
import { Parameter, type Storage, type Tensor, tensorsIn, type Tracer, withTracer } from "../tensor/mod.ts";
import type { TreeIndex } from "./tree.ts";

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

/** One run on meta. */
export interface Trace {
  /** Every module call, in order. */
  readonly calls: readonly TracedCall[];
  /** Calls by module. */
  readonly callsOf: ReadonlyMap<Module, readonly TracedCall[]>;
  /** Operators by what they read. */
  readonly readers: ReadonlyMap<Storage, readonly TracedOp[]>;
  /** Module properties that a forward set to a tensor, as `path.property`, by the tensor's storage. */
  readonly stored: ReadonlyMap<Storage, string>;
}

/**
 * Runs `root` on meta.
 *
 * @param inputs What the root's forward takes; tensors of any device.
 * @throws KW-TRACE-FORWARD when the forward fails for a reason that is not ours.
 */
export function traceModel(root: Module, tree: TreeIndex, inputs: readonly unknown[]): Trace {
  const calls: TracedCall[] = [];
  const callsOf = new Map<Module, TracedCall[]>();
  const readers = new Map<Storage, TracedOp[]>();
  let current: TracedCall | undefined;
  let order = 0;

  const tracer: Tracer = {
    op(name, ins, outs) {
      const op: TracedOp = { name, inputs: ins, outputs: outs, caller: current, order: order++ };
      for (const storage of new Set(ins.map((t) => t.storage))) push(readers, storage, op);
    },
  };
  const observer = {
    call(module: Module, args: readonly unknown[], next: () => unknown): unknown {
      const call: TracedCall = { module, caller: current, args, result: undefined, order: order++ };
      calls.push(call);
      push(callsOf, module, call);
      current = call;
      try {
        return call.result = next();
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

  const before = tree.nodes.map((n) => ({ ...n.module } as Record<string, unknown>));
  try {
    withTracer(tracer, () => withObserver(observer, () => root.call(...inputs)));
    return { calls, callsOf, readers, stored: storedValues(tree, before) };
  } finally {
    tree.nodes.forEach((n, i) => restore(n.module, before[i]));
  }
}

/** Runs a module's or kernel's forward alone on meta, e.g. to see what it returns. */
export function runOnMeta<T>(fn: () => T): T {
  return withTracer({ op: () => {} }, fn);
}

/** `layers.0.self_attn`, or what the parent itself does, as messages name a reader. */
export function describeReader(op: TracedOp, parent: Module, tree: TreeIndex): string {
  let call = op.caller;
  while (call && call.caller && call.caller.module !== parent) call = call.caller;
  if (!call || call.module === parent) return `${op.name} in the forward of ${parent.constructor.name}`;
  return `"${tree.byModule.get(call.module)?.path ?? call.module.constructor.name}"`;
}

/** Whether an operator ran inside a call of `module`. */
export function happenedIn(op: TracedOp, module: Module): boolean {
  for (let call = op.caller; call; call = call.caller) if (call.module === module) return true;
  return false;
}

/** Runs `fn` with errors placed at a module. */
export function atSite<T>(path: string, kernel: string | undefined, fn: () => T): T {
  return inContext({ site: path, kernel }, fn);
}

// ---------------------------------------------------------------------------

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

function storedValues(tree: TreeIndex, before: readonly Record<string, unknown>[]): Map<Storage, string> {
  const stored = new Map<Storage, string>();
  tree.nodes.forEach((n, i) => {
    for (const [key, value] of Object.entries(n.module)) {
      if (value === before[i][key] && !isContainer(value)) continue;
      if (value instanceof Parameter) continue;
      for (const t of tensorsIn(value)) {
        if (t.device === "meta") stored.set(t.storage, `${n.path ? `${n.path}.` : ""}${key}`);
      }
    }
  });
  return stored;
}

// What a forward pushes into an array or map is stored too, though the property is the same.
function isContainer(value: unknown): boolean {
  return Array.isArray(value) || value instanceof Map || value instanceof Set;
}

function restore(module: Module, before: Record<string, unknown>): void {
  const now = module as unknown as Record<string, unknown>;
  for (const key of Object.keys(now)) if (!Object.hasOwn(before, key)) delete now[key];
  for (const [key, value] of Object.entries(before)) if (now[key] !== value) now[key] = value;
}
