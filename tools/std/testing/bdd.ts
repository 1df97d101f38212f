/**
 * Stand-in for `@std/testing/bdd`, on `Deno.test` and its steps as the real one is.
 *
 * Not on `node:test`: its steps carry no place in the author's file, and its names differ (`before` for
 * `beforeAll`, `skip` for `ignore`). A `describe` at the top is one `Deno.test`; what is in it are steps.
 *
 * @module
 */

/** What a test or a hook runs. `this` is shared within a group, a copy of it is handed to inner groups. */
export type TestFn<T> = (this: T, t: Deno.TestContext) => void | Promise<void>;
/** What a hook runs. */
export type HookFn<T> = (this: T) => void | Promise<void>;

/** The options that `describe` and `it` share. */
export interface TestOptions {
  /** The name, where it is not given as an argument. */
  name?: string;
  /** Leaves it out, and reports it as ignored. */
  ignore?: boolean;
  /** Runs only those that say so; the run then fails, so that none is forgotten. */
  only?: boolean;
  /** Passed on to `Deno.test`. */
  sanitizeOps?: boolean;
  /** Passed on to `Deno.test`. */
  sanitizeResources?: boolean;
  /** Passed on to `Deno.test`. */
  sanitizeExit?: boolean;
}

/** Options of one test. */
export interface ItDefinition<T> extends TestOptions {
  /** The test. */
  fn?: TestFn<T>;
}

/** Options of one group. */
export interface DescribeDefinition<T> extends TestOptions {
  /** Registers the tests of the group. */
  fn?: () => void | undefined;
  /** Runs once, before the first test. */
  beforeAll?: HookFn<T> | HookFn<T>[];
  /** Runs once, after the last test. */
  afterAll?: HookFn<T> | HookFn<T>[];
  /** Runs before each test. */
  beforeEach?: HookFn<T> | HookFn<T>[];
  /** Runs after each test. */
  afterEach?: HookFn<T> | HookFn<T>[];
}

/** The arguments of `it`. */
export type ItArgs<T> =
  | [options: ItDefinition<T>]
  | [name: string, fn: TestFn<T>]
  | [name: string, options: Omit<ItDefinition<T>, "fn" | "name">, fn: TestFn<T>]
  | [options: Omit<ItDefinition<T>, "fn">, fn: TestFn<T>]
  | [fn: TestFn<T>];

/** The arguments of `describe`. */
export type DescribeArgs<T> =
  | [options: DescribeDefinition<T>]
  | [name: string, fn?: () => void]
  | [name: string, options: Omit<DescribeDefinition<T>, "fn" | "name">, fn?: () => void]
  | [options: Omit<DescribeDefinition<T>, "fn">, fn: () => void]
  | [fn: () => void];

/** `it`, with the variants that mark a test. */
export interface ItFn {
  /** Registers a test. */
  <T>(...args: ItArgs<T>): void;
  /** Runs only this one. */
  only<T>(...args: ItArgs<T>): void;
  /** Leaves this one out. */
  ignore<T>(...args: ItArgs<T>): void;
  /** The same as `ignore`. */
  skip<T>(...args: ItArgs<T>): void;
}

/** `describe`, with the variants that mark a group. */
export interface DescribeFn {
  /** Registers a group of tests. */
  <T>(...args: DescribeArgs<T>): void;
  /** Runs only this one. */
  only<T>(...args: DescribeArgs<T>): void;
  /** Leaves this one out. */
  ignore<T>(...args: DescribeArgs<T>): void;
  /** The same as `ignore`. */
  skip<T>(...args: DescribeArgs<T>): void;
}

/** Registers a test. */
export const it: ItFn = variants((args, marks) => addTest(args as ItArgs<unknown>, marks));
/** The same as `it`. */
export const test: ItFn = it;
/** Registers a group of tests. */
export const describe: DescribeFn = variants((args, marks) => addGroup(args as DescribeArgs<unknown>, marks));

/** Runs `fn` once, before the first test of the group. */
export function beforeAll<T>(fn: HookFn<T>): void {
  if (current === root) Deno.test.beforeAll(() => fn.call(root.context as T));
  else addHook("beforeAll", fn);
}

/** Runs `fn` once, after the last test of the group. */
export function afterAll<T>(fn: HookFn<T>): void {
  if (current === root) Deno.test.afterAll(() => fn.call(root.context as T));
  else addHook("afterAll", fn);
}

/** Runs `fn` before each test of the group. */
export function beforeEach<T>(fn: HookFn<T>): void {
  addHook("beforeEach", fn);
}

/** Runs `fn` after each test of the group, also after one that failed. */
export function afterEach<T>(fn: HookFn<T>): void {
  addHook("afterEach", fn);
}

/** The same as `beforeAll`. */
export const before: typeof beforeAll = beforeAll;
/** The same as `afterAll`. */
export const after: typeof afterAll = afterAll;

// ---------------------------------------------------------------------------------------------------------

type Hooks = Record<"beforeAll" | "afterAll" | "beforeEach" | "afterEach", HookFn<unknown>[]>;
interface Case {
  options: TestOptions & { name: string };
  fn: TestFn<unknown>;
}
interface Group {
  options: TestOptions & { name: string };
  parent?: Group;
  hooks: Hooks;
  children: (Case | Group)[];
  context: unknown;
}

const root: Group = newGroup({ name: "" });
let current = root;

function newGroup(options: TestOptions & { name: string }, parent?: Group): Group {
  const hooks = { beforeAll: [], afterAll: [], beforeEach: [], afterEach: [] };
  return { options, parent, hooks, children: [], context: {} };
}

function variants<F extends ItFn | DescribeFn>(add: (args: unknown[], marks: TestOptions) => void): F {
  const fn = (...args: unknown[]) => add(args, {});
  return Object.assign(fn, {
    only: (...args: unknown[]) => add(args, { only: true }),
    ignore: (...args: unknown[]) => add(args, { ignore: true }),
    skip: (...args: unknown[]) => add(args, { ignore: true }),
  }) as unknown as F;
}

/** Sorts `name?, options?, fn?` into one options object. */
function readArgs<D extends TestOptions & { fn?: unknown }>(args: unknown[], marks: TestOptions) {
  const definition = {} as D;
  for (const arg of args) {
    if (typeof arg === "string") definition.name = arg;
    else if (typeof arg === "function") definition.fn = arg;
    else Object.assign(definition, arg);
  }
  Object.assign(definition, marks);
  const name = definition.name ?? (definition.fn as { name?: string } | undefined)?.name ?? "";
  if (!name) throw new TypeError("The test must have a name");
  return { ...definition, name };
}

function addHook<T>(kind: keyof Hooks, fn: HookFn<T>): void {
  current.hooks[kind].push(fn as HookFn<unknown>);
}

function addTest(args: ItArgs<unknown>, marks: TestOptions): void {
  const { fn, ...options } = readArgs<ItDefinition<unknown>>(args, marks);
  const child: Case = { options, fn: fn ?? (() => {}) };
  if (current !== root) current.children.push(child);
  else Deno.test({ ...options, fn: (t) => runCase(child, root, root.context, t) });
}

function addGroup(args: DescribeArgs<unknown>, marks: TestOptions): void {
  const definition = readArgs<DescribeDefinition<unknown>>(args, marks);
  const { fn, beforeAll, afterAll, beforeEach, afterEach, ...options } = definition;
  const group = newGroup(options, current);
  for (const [kind, hooks] of Object.entries({ beforeAll, afterAll, beforeEach, afterEach })) {
    group.hooks[kind as keyof Hooks].push(...[hooks ?? []].flat());
  }
  const outer = current;
  current = group;
  try {
    const result: unknown = fn?.();
    if (result instanceof Promise) {
      throw new TypeError(`The function of describe("${options.name}") must not be asynchronous`);
    }
  } finally {
    current = outer;
  }
  if (outer !== root) outer.children.push(group);
  else {
    // A group of nothing but ignored tests still runs, so that each is reported as ignored.
    Deno.test({ ...options, only: hasOnly(group), fn: (t) => runGroup(group, root.context, t) });
  }
}

function hasOnly(node: Case | Group): boolean {
  return node.options.only === true || ("children" in node && node.children.some(hasOnly));
}

async function runGroup(group: Group, outer: unknown, t: Deno.TestContext): Promise<void> {
  const context = { ...(outer as Record<string, unknown>) };
  const some = group.children.some(hasOnly);
  try {
    for (const hook of group.hooks.beforeAll) await hook.call(context);
    for (const child of group.children) {
      const { only: _, ...options } = child.options;
      const ignore = options.ignore || (some && !hasOnly(child));
      await t.step({
        ...options,
        ignore,
        fn: (t) => "children" in child ? runGroup(child, context, t) : runCase(child, group, context, t),
      });
    }
  } finally {
    for (const hook of group.hooks.afterAll) await hook.call(context);
  }
}

async function runCase(node: Case, group: Group, outer: unknown, t: Deno.TestContext): Promise<void> {
  const context = { ...(outer as Record<string, unknown>) };
  const groups: Group[] = [];
  for (let g: Group | undefined = group; g; g = g.parent) groups.unshift(g);
  try {
    for (const g of groups) for (const hook of g.hooks.beforeEach) await hook.call(context);
    await node.fn.call(context, t);
  } finally {
    for (const g of groups.reverse()) for (const hook of g.hooks.afterEach) await hook.call(context);
  }
}
