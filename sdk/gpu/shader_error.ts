import { closest, didYouMean, KernelwrightError, type Where } from "../errors.ts";
import type { ShaderVariant } from "./shader.ts";

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
  const line = first && first.lineNum > variant.headerLines ? first.lineNum - variant.headerLines : undefined;
  const what = plainText(first?.message ?? message);
  const { code } = variant.shader;
  const pointed = line ? /^\w*/.exec(code.split("\n")[line - 1].slice(first!.linePos - 1))![0] : "";
  return new KernelwrightError({
    code: "KW-SHADER-COMPILE",
    what,
    where: {
      ...context,
      file: variant.shader.name,
      line,
      column: line ? first!.linePos : undefined,
      variant: describeVariant(variant, constants),
    },
    excerpt: line ? { text: variant.shader.code, length: Math.max(1, first!.length) } : undefined,
    fix: remedy(what, pointed, code),
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

/** The driver draws its own excerpt, with its own line numbers: only its words are of use. */
function plainText(message: string): string {
  const lines = message.split("\n").map((l) => l.trim()).filter(Boolean);
  const body = lines.filter((l) => !/^[┌│└├=]|^\d+\s*│|^─/.test(l));
  const label = /\^+ ([^\n]+)/.exec(message)?.[1];
  const text = (body.length > 0 ? body : lines).join("\n")
    .replace(/^Shader '[^']*' parsing error:\s*/, "")
    .replace(/:\s*`(.*?)`/g, ' "$1"').replaceAll("`", '"');
  // That an entry point is invalid tells nothing; what is wrong with it stands under the carets.
  return label && /^Shader validation error: \w+ .* is invalid/.test(text)
    ? text.replace(/^Shader validation error: ([^\n]*)[^]*/, `$1: ${label}`)
    : text;
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
