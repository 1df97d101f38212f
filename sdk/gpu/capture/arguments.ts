/** What the arguments and results of a captured function are made of. */
import { raise } from "../../errors.ts";
import { formatSpec, isPlain, Parameter, type Storage, Tensor } from "../../tensor/mod.ts";

/** Arguments as a captured function sees them. */
export interface ArgumentSignature {
  /** Equal for calls that one plan serves. */
  readonly key: string;
  /** The tensors whose values change from call to call, each once. */
  readonly tensors: readonly Tensor[];
  /** Whether two different tensors lie in the same memory. */
  readonly shared: boolean;
}

/**
 * Reads a call's arguments: tensors by shape and dtype, numbers and words by value, and everything else (a cache,
 * a module, a parameter) by identity. Tensors are looked for in arrays and plain objects.
 */
export function signatureOf(args: readonly unknown[]): ArgumentSignature {
  const places = new Map<Tensor, number>();
  const memories = new Set<Storage>();
  const key = args.map((a) => keyOf(a, places, memories)).join(";");
  return { key, tensors: [...places.keys()], shared: memories.size < places.size };
}

// ---------------------------------------------------------------------------

const identities = new WeakMap<object, number>();
let nextIdentity = 1;

/** More is an array or object that holds itself. */
const MOST_DEPTH = 100;

function refuseDepth(): never {
  raise(
    "KW-ARGUMENT",
    `Cannot capture a function of values that are nested more than ${MOST_DEPTH} deep`,
    "An array or object among them may hold itself: pass what the function needs of it.",
  );
}

function keyOf(value: unknown, places: Map<Tensor, number>, memories: Set<Storage>, depth = 0): string {
  if (depth > MOST_DEPTH) refuseDepth();
  if (value instanceof Tensor && !(value instanceof Parameter)) {
    const known = places.get(value);
    if (known !== undefined) return `same as ${known}`;
    places.set(value, places.size);
    memories.add(value.storage);
    return formatSpec(value);
  }
  if (Array.isArray(value)) return `[${value.map((v) => keyOf(v, places, memories, depth + 1)).join()}]`;
  if (isPlain(value)) {
    const fields = Object.entries(value).map(([k, v]) =>
      `${JSON.stringify(k)}:${keyOf(v, places, memories, depth + 1)}`
    );
    return `{${fields.join()}}`;
  }
  if ((typeof value === "object" && value !== null) || typeof value === "function") {
    let id = identities.get(value);
    if (id === undefined) identities.set(value, id = nextIdentity++);
    return `#${id}`;
  }
  if (Object.is(value, -0)) return "-0";
  return typeof value === "string" ? JSON.stringify(value) : `${typeof value} ${String(value)}`;
}
