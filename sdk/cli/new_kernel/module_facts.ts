/** What the source of a module says, read with `deno doc`: the constructor and forward as their author wrote them. */
import { raise } from "../../errors.ts";

/** Says that a program did not run because it may not. @throws KW-CLI-DENO */
export function checkMayRun(cause?: unknown): void {
  const state = (name: "run" | "env" | "read") => Deno.permissions.querySync({ name }).state;
  const denied = (["run", "env", "read"] as const).filter((name) => state(name) !== "granted");
  if (denied.length === 0) return;
  raise(
    "KW-CLI-DENO",
    `Cannot run esbuild or deno doc: this Deno was not given ${denied.map((d) => `--allow-${d}`).join(", ")}`,
    "Allow it, e.g. with -A.",
    undefined,
    cause,
  );
}

/** A parameter of a constructor or method. */
export interface ParameterFact {
  /** Its name. */
  readonly name: string;
  /** Its type, as TypeScript. */
  readonly type: string;
  /** Whether it may be left out. */
  readonly optional: boolean;
}

/** A class as its source has it. */
export interface ClassFacts {
  /** What its constructor takes. */
  readonly constructorParameters: readonly ParameterFact[];
  /** What its forward takes. `this` is left out. */
  readonly forwardParameters: readonly ParameterFact[];
  /** What its forward returns. */
  readonly forwardResult?: string;
  /** The type of `this` in forward, where it is written. */
  readonly forwardThis?: string;
}

/**
 * Reads the classes that a file or its re-exports declare.
 *
 * @throws KW-CLI-DENO when `deno doc` fails.
 */
export async function classFacts(files: readonly string[], cwd?: string): Promise<Map<string, ClassFacts>> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", "--quiet", ...files],
    cwd,
    env: { NO_COLOR: "1" },
  }).output().catch((cause) => {
    checkMayRun(cause);
    raise(
      "KW-CLI-DENO",
      `deno doc does not start: ${String(cause)}`,
      "See that this Deno can be run.",
      {},
      cause,
    );
  });
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!success) {
    raise(
      "KW-CLI-DENO",
      `deno doc failed: ${text(stderr).trim().slice(0, 2000)}`,
      `See that deno check passes on ${files.join(", ")}.`,
    );
  }
  const doc: Doc = JSON.parse(text(stdout));
  const facts = new Map<string, ClassFacts>();
  for (const { symbols } of Object.values(doc.nodes)) {
    for (const { name, declarations } of symbols) {
      for (const { kind, def } of declarations) if (kind === "class" && def) facts.set(name, factsOf(def));
    }
  }
  return facts;
}

// ---------------------------------------------------------------------------

// The parts of deno doc's output that are read here.
interface Doc {
  nodes: Record<string, { symbols: { name: string; declarations: { kind: string; def?: ClassDef }[] }[] }>;
}
interface ClassDef {
  constructors?: { params: Param[] }[];
  methods?: { name: string; functionDef: { params: Param[]; returnType?: { repr: string } } }[];
}
interface Param {
  kind: string;
  name?: string;
  optional?: boolean;
  tsType?: Type;
  left?: Param;
  right?: string;
}
interface Type {
  repr: string;
}

function factsOf(def: ClassDef): ClassFacts {
  const forward = def.methods?.find((m) => m.name === "forward")?.functionDef;
  const params = (forward?.params ?? []).map(parameterFact);
  return {
    constructorParameters: (def.constructors?.[0]?.params ?? []).map(parameterFact),
    forwardParameters: params.filter((p) => p.name !== "this"),
    forwardResult: forward?.returnType?.repr,
    forwardThis: params.find((p) => p.name === "this")?.type,
  };
}

function parameterFact(p: Param): ParameterFact {
  if (p.kind === "assign") {
    const left = p.left!;
    return {
      name: left.name ?? "value",
      type: left.tsType?.repr || typeOfLiteral(p.right ?? ""),
      optional: true,
    };
  }
  return { name: p.name ?? "value", type: p.tsType?.repr || "unknown", optional: p.optional ?? false };
}

function typeOfLiteral(text: string): string {
  if (/^["'`]/.test(text)) return "string";
  if (/^(true|false)$/.test(text)) return "boolean";
  return /^-?[\d.]/.test(text) ? "number" : "unknown";
}
