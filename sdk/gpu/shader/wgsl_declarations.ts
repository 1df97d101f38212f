/**
 * The declarations of a WGSL module. What is inside functions is the driver's business: of that only what can be nothing
 * but a mistake is said here, so that it is said before anything runs.
 */
import { type Expression, Reader } from "./wgsl_expressions.ts";
import { type Token, tokensOf, WgslFault } from "./wgsl_tokens.ts";

/** `@name(…)`, by name. */
export type Attributes = ReadonlyMap<string, readonly Expression[]>;

/** A name with a type or a value. */
export interface Declaration {
  /** What it is. */
  readonly kind: "const" | "override" | "alias" | "var" | "struct" | "fn";
  /** Its name. */
  readonly name: string;
  /** Where the name stands. */
  readonly at: number;
  /** What stands before it. */
  readonly attributes: Attributes;
  /** What stands between `<` and `>` behind `var`. */
  readonly space: readonly string[];
  /** Its type as written; of an alias what it stands for. */
  readonly type?: Expression;
  /** The index of its value's first token. */
  readonly value?: number;
  /** A struct's members. */
  readonly members: readonly Member[];
  /** A function's names, other than its own: what it may call or use. */
  readonly uses: ReadonlySet<string>;
}

/** A struct's member. */
export interface Member {
  /** Its name. */
  readonly name: string;
  /** What stands before it. */
  readonly attributes: Attributes;
  /** Its type. */
  readonly type: Expression;
}

/** A module's declarations. */
export interface Declarations {
  /** Its tokens, which values refer to. */
  readonly tokens: readonly Token[];
  /** By name. */
  readonly byName: ReadonlyMap<string, Declaration>;
  /** What `enable` names. */
  readonly enables: ReadonlySet<string>;
}

/**
 * Reads a module's declarations.
 *
 * @throws WgslFault
 */
export function declarationsOf(code: string): Declarations {
  const tokens = tokensOf(code);
  const r = new Reader(tokens);
  const { enables } = directivesAt(r, tokens);
  const byName = new Map<string, Declaration>();
  while (r.next.kind !== "end") {
    if (r.skip(";")) continue;
    const declared = declaration(r, tokens);
    if (declared) byName.set(declared.name, declared);
  }
  return { tokens, byName, enables };
}

/** What a module enables, and where its directives end: 0 where it has none or cannot be read. */
export function directivesOf(code: string): { enables: ReadonlySet<string>; end: number } {
  try {
    const tokens = tokensOf(code);
    return directivesAt(new Reader(tokens), tokens);
  } catch (e) {
    if (e instanceof WgslFault) return { enables: new Set(), end: 0 }; // it is said where all of it is read
    throw e;
  }
}

// ---------------------------------------------------------------------------

function directivesAt(r: Reader, tokens: readonly Token[]): { enables: Set<string>; end: number } {
  const enables = new Set<string>();
  let end = 0;
  for (;;) {
    if (r.skip(";")) continue;
    if (!/^(enable|requires|diagnostic)$/.test(r.next.text)) return { enables, end };
    const isEnable = r.take().text === "enable";
    const from = r.index;
    r.upTo(";");
    for (const t of tokens.slice(from, r.index)) if (isEnable && t.kind === "name") enables.add(t.text);
    end = r.next.at + 1;
  }
}

type Parts = Partial<Omit<Declaration, "kind" | "name" | "at" | "attributes">>;

function declaration(r: Reader, tokens: readonly Token[]): Declaration | undefined {
  const attributes = attributesAt(r);
  const keyword = r.next;
  const make = (kind: Declaration["kind"], { at, text: name }: Token, parts: Parts): Declaration => ({
    kind,
    name,
    at,
    attributes,
    space: [],
    members: [],
    uses: new Set(),
    ...parts,
  });
  r.take();
  switch (keyword.text) {
    case "const_assert":
      r.upTo(";");
      r.take();
      return undefined;
    case "alias": {
      const name = nameAt(r);
      r.expect("=");
      const type = r.expression();
      r.expect(";");
      return make("alias", name, { type });
    }
    case "var":
    case "const":
    case "override": {
      const space = keyword.text === "var" && r.skip("<") ? r.list(">", true).map(nameOf) : [];
      const name = nameAt(r);
      const type = r.skip(":") ? r.expression() : undefined;
      const value = r.skip("=") ? r.index : undefined;
      if (value !== undefined) r.upTo(";");
      if (type === undefined && value === undefined) r.refuse('expected ":" or "="');
      r.expect(";");
      return make(keyword.text, name, { space, type, value });
    }
    case "struct": {
      const name = nameAt(r);
      return make("struct", name, { members: membersAt(r) });
    }
    case "fn": {
      const name = nameAt(r);
      const from = r.index;
      if (r.next.text !== "(") r.refuse('expected "("');
      r.brackets();
      r.upTo("{");
      const body = r.index;
      r.brackets();
      checkBody(tokens, body, r.index);
      const uses = tokens.slice(from, r.index).filter((t) => t.kind === "name").map((t) => t.text);
      return make("fn", name, { uses: new Set(uses) });
    }
  }
  throw new WgslFault(`expected a declaration, and got "${keyword.text}"`, keyword.at, keyword.text.length);
}

function attributesAt(r: Reader): Attributes {
  const attributes = new Map<string, readonly Expression[]>();
  while (r.skip("@")) {
    const { text } = r.next;
    r.name("an attribute's name");
    if (r.next.text !== "(") {
      attributes.set(text, []);
    } else if (READ.has(text)) {
      r.take();
      attributes.set(text, r.list(")"));
    } else {
      r.brackets();
      attributes.set(text, []);
    }
  }
  return attributes;
}

/** The attributes whose arguments matter here. */
const READ = new Set(["group", "binding", "id", "align", "size", "workgroup_size"]);

function membersAt(r: Reader): Member[] {
  const members: Member[] = [];
  r.expect("{");
  while (!r.skip("}")) {
    const attributes = attributesAt(r);
    const name = r.name("a member's name");
    r.expect(":");
    members.push({ name, attributes, type: r.expression() });
    if (!r.skip(",") && r.next.text !== "}") r.refuse('expected "," or "}"');
  }
  return members;
}

function nameAt(r: Reader): Token {
  const token = r.next;
  r.name("a name");
  return token;
}

function nameOf(e: Expression): string {
  return e.kind === "name" ? e.name : "";
}

/** What no WGSL has: a declaration without a name, an operator with nothing behind it. */
function checkBody(tokens: readonly Token[], from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const [token, after] = [tokens[i], tokens[i + 1]];
    const named = after.kind === "name" || token.text === "var" && after.text === "<";
    if (/^(let|const|var)$/.test(token.text) && !named) {
      throw new WgslFault(`expected a name, and got "${after.text}"`, after.at, after.text.length, true);
    }
    const twice = tokens[i - 1].text === token.text; // `i++;`
    if (/^[=*/%|^]$/.test(token.text) || /^[-+]$/.test(token.text) && !twice) {
      if (/^[;)\]}]$/.test(after.text)) {
        throw new WgslFault(`expected a value, and got "${after.text}"`, after.at, 1, true);
      }
    }
  }
}
