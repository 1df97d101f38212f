/** The examples in the JSDoc of what the entries export. @module */
import { join, toFileUrl } from "@std/path";
import config from "../../deno.json" with { type: "json" };
import { deno, ROOT } from "./deno.ts";

/** A value that an entry exports: a function, a class or a constant. */
export interface PublicValue {
  /** Its name. */
  readonly name: string;
  /** Where it is imported from: `@kernelwright/sdk/ops`. */
  readonly from: string;
  /** Where it is declared: `sdk/ops/binary.ts:66`. */
  readonly at: string;
  /** The text of its JSDoc, without tags. */
  readonly doc: string;
  /** The code of its examples. */
  readonly examples: readonly string[];
}

/** What `deno doc --json` gives, as far as it matters here. */
interface Doc {
  readonly nodes: Readonly<Record<string, { readonly symbols: readonly Symbol[] }>>;
}
interface Symbol {
  readonly name: string;
  readonly declarations: readonly Declaration[];
}
interface Declaration {
  readonly kind: string;
  readonly location: { readonly filename: string; readonly line: number };
  readonly jsDoc?: { readonly doc?: string; readonly tags?: readonly { kind: string; doc?: string }[] };
}

/** Not for users: the SDK's own tools, and the command line. */
const NOT_FOR_USERS = ["./internal", "./cli"];

/** Every value of the public entries, once, with its documentation. */
export async function publicValues(): Promise<PublicValue[]> {
  const entries = Object.entries(config.exports).filter(([entry]) => !NOT_FOR_USERS.includes(entry));
  const { nodes }: Doc = JSON.parse(await deno(["doc", "--json"], entries.map(([, path]) => path), ROOT));
  const found: PublicValue[] = [];
  for (const [entry, path] of entries) {
    const from = `@kernelwright/sdk${entry.slice(1)}`;
    const { symbols } = nodes[toFileUrl(join(ROOT, path)).href];
    for (const name of Object.keys(await import(from))) {
      const declarations = symbols.filter((s) => s.name === name).flatMap((s) => s.declarations);
      if (declarations.some((d) => d.kind === "reference")) continue; // of an entry before this one
      found.push(valueOf(name, from, declarations));
    }
  }
  return found;
}

/** The name of the value whose example a doc points to. */
export function linkedExample(doc: string): string | undefined {
  return doc.match(/^See the example of \{@linkcode (\w+)\}\.$/m)?.[1];
}

/** Why a value has no example, as its doc says. */
export function reasonForNone(doc: string): string | undefined {
  return doc.match(/^No example: (.+)/m)?.[1];
}

// ---------------------------------------------------------------------------

function valueOf(name: string, from: string, declarations: readonly Declaration[]): PublicValue {
  const tags = declarations.flatMap((d) => d.jsDoc?.tags ?? []);
  const { filename, line } = declarations[0]?.location ?? { filename: "", line: 0 };
  return {
    name,
    from,
    at: `${filename.slice(filename.indexOf(ROOT) + ROOT.length)}:${line}`,
    doc: declarations.map((d) => d.jsDoc?.doc ?? "").join("\n"),
    examples: tags.filter((t) => t.kind === "example")
      .flatMap(({ doc = "" }) => [...doc.matchAll(/^```ts\n([^]*?)^```$/gm)].map((m) => m[1])),
  };
}
