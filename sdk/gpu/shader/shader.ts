import { checkArgument, checkFields, refuseArgument } from "../../arguments.ts";
import { didYouMean, raise } from "../../errors.ts";
import { reflect, type Reflection } from "./reflect.ts";
import { readerError } from "./error.ts";
import { directivesOf } from "./wgsl_declarations.ts";

/** What {@linkcode shader} takes. */
export interface ShaderOptions {
  /** The WGSL. `import code from "./x.wgsl" with { type: "text" }` gives it. */
  readonly code: string;
  /** The file's name, for error messages; e.g. `rms_norm.wgsl`. */
  readonly name?: string;
  /** The compute entry point; may be left out where there is one only. */
  readonly entryPoint?: string;
  /** Values of overrides that hold for every dispatch. */
  readonly constants?: Readonly<Record<string, number>>;
}

/** One way to compile a shader: its code with type aliases filled in. */
export interface ShaderVariant {
  /** The shader. */
  readonly shader: Shader;
  /** The aliases, as messages show them; empty when there are none. */
  readonly label: string;
  /** The code for the driver. */
  readonly code: string;
  /** The part of `code` that the author did not write. */
  readonly added: AddedCode;
  /** What it declares. */
  readonly reflection: Reflection;
  /** The entry point. */
  readonly entryPoint: string;
  /** A number that no other variant has. */
  readonly id: number;
}

/** A part of a variant's code that is not in the author's. */
export interface AddedCode {
  /** Where it begins. */
  readonly at: number;
  /** How many characters it has. */
  readonly length: number;
}

/** WGSL code with an entry point. Nothing is compiled before it is used; one value serves every device. */
export class Shader {
  /** The file's name. */
  readonly name: string;
  /** The author's WGSL. */
  readonly code: string;
  /** Values of overrides that hold for every dispatch. */
  readonly constants: Readonly<Record<string, number>>;
  readonly #entryPoint: string | undefined;
  readonly #variants = new Map<string, ShaderVariant>();

  /** Use {@linkcode shader}. */
  constructor(options: ShaderOptions) {
    this.name = options.name ?? "shader.wgsl";
    if (typeof options.code !== "string") {
      raise(
        "KW-SHADER-COMPILE",
        `The shader's code is not text: got ${options.code === null ? "null" : typeof options.code}`,
        'Import a file by `import code from "./x.wgsl" with { type: "text" }`.',
        { file: this.name },
      );
    }
    this.code = options.code.replace(/^\ufeff/, ""); // a byte-order mark is not part of the WGSL
    this.constants = Object.freeze({ ...options.constants });
    this.#entryPoint = options.entryPoint;
  }

  /**
   * The shader with type aliases: `{ T: "f16" }` puts `alias T = f16;` (and `enable f16;`) before the code, and behind
   * its directives where it has any.
   *
   * @throws KW-SHADER-COMPILE, KW-SHADER-ENTRY, KW-SHADER-BINDING, KW-DISPATCH-UNIFORM, KW-GPU-LIMIT
   */
  variant(types: Readonly<Record<string, string>> = {}): ShaderVariant {
    let key = "";
    for (const name in types) {
      const type = types[name];
      if (typeof type !== "string") refuseArgument(`dispatch(): types.${name}`, type, "a string");
      key += `${name}=${type},`;
    }
    const known = this.#variants.get(key);
    if (known) return known;
    checkArgument("dispatch(): types", types, "an object");
    const { code, added } = this.#withAliases(types);
    const reflection = reflect(code, this.name, (fault) => readerError(this, added, fault));
    const made: ShaderVariant = {
      shader: this,
      label: key.slice(0, -1),
      code,
      added,
      reflection,
      entryPoint: this.#chooseEntry(reflection),
      id: nextVariant++,
    };
    this.#variants.set(key, made);
    return made;
  }

  #withAliases(types: Readonly<Record<string, string>>): { code: string; added: AddedCode } {
    const lines = Object.entries(types).map(([name, type]) => `alias ${name} = ${type};`);
    if (lines.length === 0) return { code: this.code, added: { at: 0, length: 0 } };
    const { enables, end: at } = directivesOf(this.code);
    const needsF16 = Object.values(types).some((type) => /\b(f16|vec[234]h|mat[234]x[234]h)\b/.test(type));
    if (needsF16 && !enables.has("f16")) lines.unshift("enable f16;");
    // Behind directives all in their last line, so that the author's lines keep their numbers.
    const text = at === 0 ? lines.map((l) => `${l}\n`).join("") : ` ${lines.join(" ")}`;
    return { code: this.code.slice(0, at) + text + this.code.slice(at), added: { at, length: text.length } };
  }

  #chooseEntry(reflection: Reflection): string {
    const names = reflection.entryPoints;
    const wanted = this.#entryPoint ?? (names.length === 1 ? names[0] : undefined);
    if (wanted !== undefined && names.includes(wanted)) return wanted;
    const where = { file: this.name };
    if (names.length === 0) {
      raise("KW-SHADER-ENTRY", "The shader has no @compute function", "Add one.", where);
    }
    if (wanted === undefined) {
      raise(
        "KW-SHADER-ENTRY",
        `The shader has ${names.length} entry points`,
        `Name one as entryPoint: ${names.join(", ")}.`,
        where,
      );
    }
    raise("KW-SHADER-ENTRY", `The shader has no entry point "${wanted}"`, didYouMean(wanted, names), where);
  }
}

/**
 * Declares a compute shader. It is parsed and compiled when it is first dispatched or planned.
 * See the example of {@linkcode dispatch}.
 */
export function shader(options: ShaderOptions): Shader {
  checkFields("shader(): options", options, { code: "a string" });
  return new Shader(options);
}

let nextVariant = 1;
