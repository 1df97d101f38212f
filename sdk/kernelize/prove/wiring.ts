/**
 * Proves from a trace that a fusion is possible: each part runs once, feeds the next one and nobody else.
 *
 * A value that escapes (two readers, returned, stored) would be missing after the fusion: it is refused by name.
 */
import type { Layout } from "../../authoring/mod.ts";
import { raise } from "../../errors.ts";
import { joinPath, type Module } from "../../nn/mod.ts";
import { type Storage, Tensor, tensorsIn } from "../../tensor/mod.ts";
import { describeReader, happenedIn, type Trace, type TracedCall, type TracedOp, within } from "./trace.ts";
import type { Node, TreeIndex } from "../match/tree.ts";

/**
 * Checks a chain.
 *
 * @throws KW-TRACE-NOT-RUN, KW-TRACE-REPEATS, KW-TRACE-CALLER, KW-TRACE-ORDER, KW-TRACE-BROKEN,
 * KW-TRACE-ARGUMENTS, KW-TRACE-ESCAPES.
 */
export function checkChain(parts: readonly Node[], trace: Trace, tree: TreeIndex): void {
  const calls = parts.map((p) => onlyCall(p, trace, tree));
  for (let i = 0; i + 1 < parts.length; i++) {
    const [from, to] = [calls[i], calls[i + 1]];
    const value = from.result;
    if (!(value instanceof Tensor)) {
      raise(
        "KW-TRACE-BROKEN",
        `Cannot fuse: "${parts[i].path}" returns something else than one tensor`,
        hintParent(parts[i]),
        { site: parts[i].path },
      );
    }
    checkOrder(from, to, parts[i], parts[i + 1]);
    if (to.args[0] !== value && !(to.args[0] instanceof Tensor && same(to.args[0], value))) {
      const between = valueOf(from, trace.readers)?.find((op) =>
        op.order > from.order && op.order < to.order && !happenedIn(op, parts[i].module)
      );
      raise(
        "KW-TRACE-BROKEN",
        `Cannot fuse: "${parts[i + 1].path}" is not fed by "${parts[i].path}"` +
          (between
            ? `; its result first goes through ${describeReader(between, parts[i].parent!.module, tree)}`
            : ""),
        hintParent(parts[i]),
        { site: parts[i].path },
      );
    }
    if (to.args.slice(1).some((a) => a !== undefined)) {
      raise(
        "KW-TRACE-ARGUMENTS",
        `Cannot fuse: "${parts[i + 1].path}" takes more than the result of "${parts[i].path}"`,
        hintParent(parts[i]),
        { site: parts[i].path },
      );
    }
    checkEscape(parts[i], parts[i + 1], from, trace, tree);
  }
}

/**
 * Checks siblings that are to be fed once: each runs once, with the very same arguments, the first one first.
 *
 * @throws KW-TRACE-NOT-RUN, KW-TRACE-REPEATS, KW-TRACE-CALLER, KW-TRACE-ORDER, KW-TRACE-BROKEN.
 */
export function checkParallel(parts: readonly Node[], trace: Trace, tree: TreeIndex): void {
  const calls = parts.map((p) => onlyCall(p, trace, tree));
  for (let i = 1; i < parts.length; i++) {
    checkOrder(calls[0], calls[i], parts[0], parts[i]);
    const [a, b] = [calls[0].args, calls[i].args];
    const equal = a.length === b.length &&
      a.every((v, k) =>
        v === b[k] || (v instanceof Tensor && b[k] instanceof Tensor && same(v, b[k] as Tensor))
      );
    if (!equal) {
      raise(
        "KW-TRACE-BROKEN",
        `Cannot fuse: "${parts[0].path}" and "${parts[i].path}" are fed different inputs`,
        "fuseParallel takes siblings with the same input; use fuse for a chain.",
        {
          site: parts[0].path,
        },
      );
    }
  }
  const writes = (storage: Storage) =>
    trace.readers.get(storage)?.find((op) =>
      op.order > calls[0].order && op.order < calls.at(-1)!.order &&
      op.outputs.some((o) => o.storage === storage)
    );
  for (const t of tensorsIn(calls[0].args)) {
    const op = t.released ? undefined : writes(t.storage);
    if (op) {
      raise(
        "KW-TRACE-BROKEN",
        `Cannot fuse: the input of "${parts[0].path}" is changed by ${op.name} before "${
          parts.at(-1)!.path
        }" reads it`,
        hintParent(parts[0]),
        {
          site: parts[0].path,
        },
      );
    }
  }
}

/**
 * Checks that nobody reads the parameters of modules that a layout takes the place of: they will be somewhere else.
 *
 * @throws KW-TRACE-WEIGHT.
 */
export function checkWeights(parts: readonly Node[], trace: Trace, tree: TreeIndex): void {
  for (const part of parts) {
    for (const [name, parameter] of part.module.namedParameters()) {
      // Where it is tied, its other holders have it still.
      const holders = tree.holders.get(parameter)!.map((n) => n.module);
      const reader = trace.readers.get(parameter.storage)?.find((op) =>
        ![...parts.map((p) => p.module), ...holders].some((m) => happenedIn(op, m))
      );
      if (!reader) continue;
      const key = joinPath(part.path, name);
      raise(
        "KW-TRACE-WEIGHT",
        `Cannot replace "${part.path}": "${key}" is also read by ${
          describeReader(reader, part.parent!.module, tree)
        }`,
        `Hand it on as a value, or replace the parent, ${
          part.parent!.module.constructor.name
        }, with one kernel.`,
        { site: part.path },
      );
    }
  }
}

/**
 * Checks that what a kernel writes, and the originals do not, is not wanted any more: whoever reads it later would
 * read something else than before. `call` is that of the first part.
 *
 * @throws KW-TRACE-OVERWRITES.
 */
export function checkOverwritten(
  parts: readonly Node[],
  memory: Storage,
  call: TracedCall,
  trace: Trace,
  tree: TreeIndex,
): void {
  const inside = (op: TracedOp) => parts.some((p) => happenedIn(op, p.module));
  if (trace.writers.get(memory)?.some(inside)) return;
  const reader = trace.readers.get(memory)?.find((op) => op.order > call.order && !inside(op));
  const handed = trace.given.get(memory)?.find((c) =>
    c.order > call.order && !parts.some((p) => within(c, p.module))
  );
  const stored = trace.stored.get(memory);
  const parent = parts[0].parent?.module ?? parts[0].module;
  const how = reader
    ? `read by ${describeReader(reader, parent, tree)}`
    : handed
    ? `handed to "${tree.byModule.get(handed.module)?.path ?? handed.module.constructor.name}"`
    : trace.calls.some((c) => within(call, c.module) && c.returned.has(memory) && c.module !== call.module)
    ? "returned by a module around it"
    : stored;
  if (!how) return;
  raise(
    "KW-TRACE-OVERWRITES",
    `Cannot replace "${
      parts[0].path
    }": the kernel writes over one of its inputs, which afterwards is also ${how}`,
    "Write to a tensor of its own, or replace the parent with one kernel.",
    { site: parts[0].path },
  );
}

/**
 * Checks that nobody uses properties of modules that a layout takes the place of, unless the layout has the same: a
 * parent that asks for `this.norm.eps` would get `undefined`, and compute on.
 *
 * @throws KW-TRACE-PROPERTY.
 */
export function checkProperties(
  parts: readonly Node[],
  layout: Layout,
  layoutName: string,
  trace: Trace,
  tree: TreeIndex,
): void {
  for (const [i, part] of parts.entries()) {
    const use = trace.uses.get(part.module)?.find(({ key, caller }) =>
      !parts.some((p) => within(caller, p.module)) && !(i === 0 && stillThere(key, part.module, layout))
    );
    if (!use) continue;
    const parent = part.parent!.module;
    const { module: user } = use.caller;
    const path = user === parent ? "" : tree.byModule.get(user)?.path;
    const instead = `replace the parent, ${parent.constructor.name}, with one kernel`;
    raise(
      "KW-TRACE-PROPERTY",
      `Cannot replace "${part.path}": its "${use.key}" is also used by the forward of ${user.constructor.name}` +
        (path ? ` at "${path}"` : ""),
      i === 0 ? `Give ${layoutName} the same "${use.key}", or ${instead}.` : `${capital(instead)}.`,
      { site: part.path },
    );
  }
}

// ---------------------------------------------------------------------------

/** Whether a layout answers as the module that it stands for: with the same value, or with a method of its own. */
function stillThere(key: string, module: Module, layout: Layout): boolean {
  const [before, after] = [module, layout].map((m) => (m as unknown as Record<string, unknown>)[key]);
  return typeof before === "function"
    ? typeof after === "function"
    : key in layout && Object.is(before, after);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function onlyCall(part: Node, trace: Trace, tree: TreeIndex): TracedCall {
  const calls = trace.callsOf.get(part.module) ?? [];
  const where = { site: part.path };
  if (calls.length === 0) {
    raise(
      "KW-TRACE-NOT-RUN",
      `Cannot fuse: "${part.path}" was not run by the forward of ${part.parent!.module.constructor.name}`,
      "Its parent must run it with call(); narrow the pattern to the layers where it does.",
      where,
    );
  }
  if (calls.length > 1) {
    raise(
      "KW-TRACE-REPEATS",
      `Cannot fuse: "${part.path}" runs ${calls.length} times`,
      "A fused part runs once in each forward of its parent.",
      where,
    );
  }
  const caller = calls[0].caller?.module;
  const parent = part.parent!.module.constructor.name;
  if (caller !== part.parent!.module) {
    const name = caller ? tree.byModule.get(caller)?.path ?? caller.constructor.name : "nobody";
    raise(
      "KW-TRACE-CALLER",
      `Cannot fuse: "${part.path}" is run by "${name}", not by its parent`,
      `Run it with call() in the forward of ${parent}, or replace ${parent} with one kernel.`,
      where,
    );
  }
  return calls[0];
}

function checkOrder(first: TracedCall, second: TracedCall, a: Node, b: Node): void {
  if (first.order < second.order) return;
  raise(
    "KW-TRACE-ORDER",
    `Cannot fuse: "${b.path}" runs before "${a.path}"`,
    "Name the parts in the order in which they run.",
    { site: a.path },
  );
}

/** What one call returned must go to the next part and nowhere else. */
function checkEscape(part: Node, next: Node, call: TracedCall, trace: Trace, tree: TreeIndex): void {
  const parent = part.parent!.module;
  const escape = (how: string): never =>
    raise(
      "KW-TRACE-ESCAPES",
      `Cannot fuse "${part.path}" with "${next.path}": the value between them is also ${how}`,
      hintParent(part),
      { site: part.path },
    );
  const inside = (c: TracedCall) => within(c, part.module) || within(c, next.module);
  const reader = valueOf(call, trace.readers)?.find((op) =>
    op.order > call.order && !happenedIn(op, part.module) && !happenedIn(op, next.module)
  );
  if (reader) escape(`read by ${describeReader(reader, parent, tree)}`);
  // A module may be handed the value without reading it in this run.
  const handed = valueOf(call, trace.given)?.find((c) => c.order > call.order && !inside(c));
  if (handed) {
    escape(`handed to "${tree.byModule.get(handed.module)?.path ?? handed.module.constructor.name}"`);
  }
  const [value] = call.returned;
  if (trace.callsOf.get(parent)?.some((c) => c.returned.has(value))) {
    escape(`returned by ${parent.constructor.name}`);
  }
  const stored = valueOf(call, trace.stored);
  if (stored) escape(stored);
}

/** What a map knows of the tensor that a call returned. */
function valueOf<T>(call: TracedCall, map: ReadonlyMap<Storage, T>): T | undefined {
  const [value] = call.returned;
  return map.get(value);
}

function same(a: Tensor, b: Tensor): boolean {
  return !a.released && !b.released && a.storage === b.storage && a.shape.length === b.shape.length &&
    a.shape.every((d, i) => d === b.shape[i]);
}

function hintParent(part: Node): string {
  return `What stands between belongs to the fusion then: replace the parent, ${
    part.parent?.module.constructor.name ?? "the model"
  }, with one kernel.`;
}
