/**
 * A compute shader's workgroup: how many invocations it has, and how much memory they share. Both may depend on
 * overrides, so that they are only known when these have values. Whatever this does not understand is undefined.
 */

/** What an entry point asks for. */
export interface Workgroup {
  /** Invocations along x, y and z. */
  readonly size: readonly [number, number, number] | undefined;
  /** Bytes of the `var<workgroup>` that it uses, as WebGPU counts them. */
  readonly bytes: number | undefined;
}

/** Reads `code`, which is complete and compiles, with `constants` for its overrides (by name or `@id`). */
export function workgroupOf(
  code: string,
  entryPoint: string,
  constants: Readonly<Record<string, number>>,
): Workgroup {
  const source = new Source(code, constants);
  return { size: source.size(entryPoint), bytes: source.bytes(entryPoint) };
}

// ---------------------------------------------------------------------------

interface Sized {
  readonly size: number;
  readonly align: number;
}

const SCALARS: Record<string, number> = { f32: 4, i32: 4, u32: 4, bool: 4, f16: 2, f: 4, i: 4, u: 4, h: 2 };

class Source {
  readonly #code: string;
  readonly #constants: Readonly<Record<string, number>>;
  readonly #values = new Map<string, number | undefined>();
  readonly #types = new Map<string, Sized | undefined>();

  constructor(code: string, constants: Readonly<Record<string, number>>) {
    this.#code = withoutComments(code);
    this.#constants = constants;
  }

  size(entryPoint: string): [number, number, number] | undefined {
    const at = new RegExp(`\\bfn\\s+${entryPoint}\\b`).exec(this.#code)?.index;
    if (at === undefined) return undefined;
    const head = this.#code.slice(0, at);
    const open = /@\s*workgroup_size\s*\(/g;
    let last: number | undefined;
    for (const m of head.matchAll(open)) last = m.index + m[0].length;
    // Of this function, not of one before it.
    if (last === undefined || /[{};]/.test(head.slice(last))) return undefined;
    const sizes = splitList(head.slice(last, closing(head, last)), false).map((e) => this.#number(e));
    if (sizes.length > 3 || sizes.some((n) => n === undefined)) return undefined;
    const [x, y = 1, z = 1] = sizes as number[];
    return [x, y, z];
  }

  bytes(entryPoint: string): number | undefined {
    let sum = 0;
    const reached = this.#reached(entryPoint);
    for (const m of this.#code.matchAll(/\bvar\s*<\s*workgroup\s*>\s*(\w+)\s*:\s*([^;]+);/g)) {
      if (!new RegExp(`\\b${m[1]}\\b`).test(reached)) continue;
      const type = this.#type(m[2].trim());
      if (!type) return undefined;
      sum += roundUp(16, type.size);
    }
    return sum;
  }

  /** The bodies of a function and of all that it may call. */
  #reached(entryPoint: string): string {
    const bodies = new Map<string, string>();
    for (const m of this.#code.matchAll(/\bfn\s+(\w+)/g)) {
      const open = this.#code.indexOf("{", m.index);
      if (open >= 0) bodies.set(m[1], this.#code.slice(open, closing(this.#code, open + 1)));
    }
    let text = "";
    const seen = new Set<string>();
    const visit = (name: string) => {
      const body = bodies.get(name);
      if (body === undefined || seen.has(name)) return;
      seen.add(name);
      text += body;
      for (const other of bodies.keys()) if (new RegExp(`\\b${other}\\b`).test(body)) visit(other);
    };
    visit(entryPoint);
    return text;
  }

  #named(name: string): number | undefined {
    if (this.#values.has(name)) return this.#values.get(name);
    this.#values.set(name, undefined); // whatever is defined by itself has no value
    const found = new RegExp(
      `((?:@\\s*id\\s*\\([^)]*\\)\\s*)?)\\b(const|override)\\s+${name}\\s*(?::[^=;]*)?(?:=([^;]*))?;`,
    ).exec(this.#code);
    let value: number | undefined;
    if (found) {
      const id = /\(\s*(\d+)/.exec(found[1])?.[1];
      const given = found[2] === "override"
        ? this.#constants[name] ?? (id === undefined ? undefined : this.#constants[id])
        : undefined;
      value = given ?? (found[3] === undefined ? undefined : this.#number(found[3]));
    }
    this.#values.set(name, value);
    return value;
  }

  #number(text: string): number | undefined {
    const tokens = text.match(/0[xX][0-9a-fA-F]+[iu]?|\d+[iu]?|\w+|<<|>>|[-+*/%(),]|\S/g) ?? [];
    let at = 0;
    const operand = (): number => {
      const token = tokens[at++];
      if (token === "(") {
        const inner = sum();
        return tokens[at++] === ")" ? inner : NaN;
      }
      if (token === "-") return -operand();
      if (token === undefined) return NaN;
      if (/^\d/.test(token)) {
        return Number(/^0x/i.test(token) ? token.replace(/[iu]$/, "") : parseInt(token, 10));
      }
      if (tokens[at] !== "(") return /^[A-Za-z_]/.test(token) ? this.#named(token) ?? NaN : NaN;
      at++;
      const args = [sum()];
      while (tokens[at] === ",") args.push((at++, sum()));
      if (tokens[at++] !== ")") return NaN;
      return call(token, args);
    };
    const product = (): number => {
      let n = operand();
      while (/^[*/%]$/.test(tokens[at] ?? "")) {
        const op = tokens[at++];
        const m = operand();
        n = op === "*" ? n * m : op === "/" ? Math.trunc(n / m) : n % m;
      }
      return n;
    };
    const added = (): number => {
      let n = product();
      while (/^[-+]$/.test(tokens[at] ?? "")) n = tokens[at++] === "+" ? n + product() : n - product();
      return n;
    };
    const sum = (): number => {
      let n = added();
      while (/^(<<|>>)$/.test(tokens[at] ?? "")) {
        n = tokens[at++] === "<<" ? n * 2 ** operand() : Math.floor(n / 2 ** operand());
      }
      return n;
    };
    const value = sum();
    return at === tokens.length && Number.isInteger(value) ? value : undefined;
  }

  #type(text: string): Sized | undefined {
    if (!this.#types.has(text)) {
      this.#types.set(text, undefined);
      this.#types.set(text, this.#measure(text));
    }
    return this.#types.get(text);
  }

  #measure(text: string): Sized | undefined {
    const [, name, args] = /^(\w+)\s*(?:<([^]*)>)?$/.exec(text) ?? [];
    if (name === undefined) return undefined;
    const given = args === undefined ? [] : splitList(args);
    if (SCALARS[name] && name.length > 1) return { size: SCALARS[name], align: SCALARS[name] };
    if (name === "atomic") return { size: 4, align: 4 };
    const vector = /^vec([234])([fiuh]?)$/.exec(name);
    if (vector) {
      const bytes = this.#scalar(vector[2], given[0]);
      const n = Number(vector[1]);
      return bytes ? { size: n * bytes, align: (n === 2 ? 2 : 4) * bytes } : undefined;
    }
    const matrix = /^mat([234])x([234])([fh]?)$/.exec(name);
    if (matrix) {
      const bytes = this.#scalar(matrix[3], given[0]);
      const align = (matrix[2] === "2" ? 2 : 4) * (bytes ?? 0);
      return bytes ? { size: Number(matrix[1]) * align, align } : undefined;
    }
    if (name === "array") {
      const element = given[0] === undefined ? undefined : this.#type(given[0]);
      const count = given[1] === undefined ? undefined : this.#number(given[1]);
      if (!element || count === undefined) return undefined;
      return { size: count * roundUp(element.align, element.size), align: element.align };
    }
    const alias = new RegExp(`\\balias\\s+${name}\\s*=([^;]*);`).exec(this.#code)?.[1];
    if (alias !== undefined) return this.#type(alias.trim());
    const members = new RegExp(`\\bstruct\\s+${name}\\s*\\{([^}]*)\\}`).exec(this.#code)?.[1];
    return members === undefined ? undefined : this.#struct(members);
  }

  #struct(members: string): Sized | undefined {
    let [at, most] = [0, 1];
    for (const member of splitList(members)) {
      if (member.includes("@")) return undefined; // sizes and alignments of the author's own
      const type = this.#type(member.slice(member.indexOf(":") + 1).trim());
      if (!type) return undefined;
      at = roundUp(type.align, at) + type.size;
      most = Math.max(most, type.align);
    }
    return { size: roundUp(most, at), align: most };
  }

  #scalar(suffix: string, given: string | undefined): number | undefined {
    if (suffix) return SCALARS[suffix];
    return given === undefined ? undefined : this.#type(given)?.size;
  }
}

function call(name: string, args: number[]): number {
  if (name === "max") return Math.max(...args);
  if (name === "min") return Math.min(...args);
  return (name === "u32" || name === "i32") && args.length === 1 ? args[0] : NaN;
}

function roundUp(step: number, n: number): number {
  return Math.ceil(n / step) * step;
}

function withoutComments(code: string): string {
  return code.replace(/\/\*[^]*?\*\/|\/\/.*/g, " ");
}

/** Where the bracket that was opened before `from` closes. */
function closing(text: string, from: number): number {
  let depth = 1;
  let at = from;
  for (; at < text.length; at++) {
    if ("({".includes(text[at])) depth++;
    else if (")}".includes(text[at]) && --depth === 0) break;
  }
  return at;
}

/** Splits at the commas that are in no brackets; in types these are angles too. */
function splitList(text: string, types = true): string[] {
  const parts: string[] = [""];
  let depth = 0;
  for (const c of text) {
    if (c === "(" || (types && c === "<")) depth++;
    if (c === ")" || (types && c === ">")) depth--;
    if (c === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += c;
  }
  return parts.map((p) => p.trim()).filter(Boolean);
}
