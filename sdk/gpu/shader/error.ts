import { closest, didYouMean, KernelwrightError, type Where } from "../../errors.ts";
import type { AddedCode, Shader, ShaderVariant } from "./shader.ts";
import type { WgslFault } from "./wgsl_tokens.ts";

/** Turns what the driver says about a shader into our error, at the line and column of the author's file. */
export async function shaderError(
  variant: ShaderVariant,
  module: GPUShaderModule,
  message: string,
  constants: Readonly<Record<string, number>>,
  context: Where,
): Promise<KernelwrightError> {
  const info = await module.getCompilationInfo().catch(() => undefined);
  const first = info?.messages.find((m) => m.type === "error");
  const told = first?.message ?? message;
  const what = plainText(told);
  const { code, name } = variant.shader;
  const at = first?.lineNum
    ? lineStart(variant.code, first.lineNum) + Math.max(0, first.linePos - 1)
    : undefined;
  const place = at === undefined ? undefined : placeOf(variant.shader, variant.added, at);
  const pointed = place ? /^\w*/.exec(code.slice(place.at))![0] : "";
  return new KernelwrightError({
    code: "KW-SHADER-COMPILE",
    what,
    where: {
      ...context,
      file: name,
      line: place?.line,
      column: place?.column,
      variant: describeVariant(variant, constants),
    },
    excerpt: place ? { text: code, length: Math.max(1, first!.length) } : undefined,
    notes: reasons(told).filter((reason) => !what.includes(reason)),
    fix: remedy(what, pointed, code),
  });
}

/** What our own reader of declarations says about a shader, as our error. */
export function readerError(shader: Shader, added: AddedCode, fault: WgslFault): KernelwrightError {
  const place = placeOf(shader, added, fault.at);
  const { code, name: file } = shader;
  return new KernelwrightError({
    code: "KW-SHADER-COMPILE",
    what: fault.message,
    where: { file, line: place?.line, column: place?.column },
    excerpt: place ? { text: code, length: fault.length } : undefined,
    notes: fault.certain
      ? undefined
      : ["This is what the SDK's own reader of declarations says, and no driver has seen the shader yet."],
    fix: remedy(fault.message, "", code) ??
      (fault.certain
        ? undefined
        : "If drivers take the shader, it is our reader that is wrong: write the declaration more plainly."),
  });
}

/** `T=f16, WG=64`, as messages show what was set. */
export function describeVariant(
  variant: ShaderVariant,
  constants: Readonly<Record<string, number>>,
): string | undefined {
  const parts = [variant.label, ...Object.entries(constants).map(([k, v]) => `${k}=${v}`)].filter(Boolean);
  return parts.length > 0 ? parts.join(", ") : undefined;
}

// ---------------------------------------------------------------------------

/** Where an offset of a variant's code is in the author's; undefined where the author did not write that. */
function placeOf({ code }: Shader, added: AddedCode, offset: number) {
  if (offset >= added.at && offset < added.at + added.length) return undefined;
  const at = Math.min(offset < added.at ? offset : offset - added.length, code.length);
  const before = code.slice(0, at);
  return { at, line: before.split("\n").length, column: at - before.lastIndexOf("\n") };
}

/** The offset at which a 1-based line begins. */
function lineStart(code: string, line: number): number {
  let at = 0;
  for (let i = 1; i < line; i++) {
    const end = code.indexOf("\n", at);
    if (end < 0) break;
    at = end + 1;
  }
  return at;
}

/** The driver draws its own excerpt, with its own line numbers: only its words are of use. */
function plainText(message: string): string {
  const lines = message.split("\n").map((l) => l.trim()).filter(Boolean);
  const body = lines.filter((l) => !/^[┌│└├=]|^\d+\s*│|^─/.test(l));
  const label = /\^+ (?!naga::)([^\n]+)/.exec(message)?.[1];
  const text = plainQuotes((body.length > 0 ? body : lines).join("\n"))
    .replace(/^Shader '[^']*' parsing error:\s*/, "");
  // That an entry point is invalid tells nothing; what is wrong with it stands under the carets.
  return label && /^Shader validation error: \w+ .* is invalid/.test(text)
    ? text.replace(/^Shader validation error: ([^\n]*)[^]*/, `$1: ${plainQuotes(label)}`)
    : text;
}

/** Why the driver says so: its lines that begin with "=". */
function reasons(message: string): string[] {
  return message.split("\n").map((l) => /^\s*=\s*(.*)/.exec(l)?.[1] ?? "").filter(Boolean).map(plainQuotes);
}

function plainQuotes(text: string): string {
  return text.replace(/:\s*`(.*?)`/g, ' "$1"').replaceAll("`", '"');
}

/** What to do, where that can be told. `pointed` is the word that the driver points at. */
function remedy(what: string, pointed: string, code: string): string | undefined {
  const unknown = /identifier[^"]*"([A-Za-z_]\w*)"/.exec(what)?.[1];
  if (unknown) {
    const declared = declarations(code);
    // A longer name that begins alike is what a truncated identifier usually meant.
    const near = unknown.length < 3
      ? undefined
      : closest(unknown, declared.keys()) ?? [...declared.keys()].find((d) => d.startsWith(unknown));
    if (near !== undefined) return `Did you mean "${near}", declared at line ${declared.get(near)}?`;
    return /^[A-Z]/.test(unknown)
      ? `If it is a type that dispatch chooses, pass it: types: { ${unknown}: x.dtype }.`
      : undefined;
  }
  const field = /accessor "(\w+)"/.exec(what)?.[1];
  if (field) return didYouMean(field, fieldNames(code));
  if (
    what.includes("writing to this location") &&
    new RegExp(`var<storage(, *read)?> *${pointed}\\b`).test(code)
  ) {
    return `Declare it var<storage, read_write> ${pointed}.`;
  }
  return undefined;
}

function declarations(code: string): Map<string, number> {
  const declared = new Map<string, number>();
  code.split("\n").forEach((text, i) => {
    for (
      const m of text.matchAll(/\b(?:let|var(?:<[^>]*>)?|const|override|fn|struct|alias)\s+([A-Za-z_]\w*)/g)
    ) {
      if (!declared.has(m[1])) declared.set(m[1], i + 1);
    }
  });
  return declared;
}

function fieldNames(code: string): Set<string> {
  const structs = [...code.matchAll(/\bstruct\s+\w+\s*\{([^}]*)\}/g)].map((m) => m[1]);
  return new Set(structs.flatMap((s) => [...s.matchAll(/(\w+)\s*:/g)].map((m) => m[1])));
}
