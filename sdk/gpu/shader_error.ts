import { closest, KernelwrightError, type Where } from "../errors.ts";
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
  const near = suggestion(what, variant.shader.code);
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
    fix: near && `Did you mean "${near.name}", declared at line ${near.line}?`,
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

/** The driver draws its own excerpt, with its own line numbers: only its first sentence is of use. */
function plainText(message: string): string {
  const lines = message.split("\n").map((l) => l.trim()).filter(Boolean);
  const body = lines.filter((l) => !/^[┌│└├=]|^\d+\s*│|^─/.test(l));
  return (body.length > 0 ? body : lines).join("\n").replace(/^Shader '[^']*' parsing error:\s*/, "")
    .replace(/:\s*`(.*?)`/g, ' "$1"').replaceAll("`", '"');
}

function suggestion(what: string, code: string): { name: string; line: number } | undefined {
  const unknown = /identifier[^"]*"([A-Za-z_]\w*)"/.exec(what)?.[1];
  if (!unknown) return undefined;
  const declared = new Map<string, number>();
  code.split("\n").forEach((text, i) => {
    for (
      const m of text.matchAll(/\b(?:let|var(?:<[^>]*>)?|const|override|fn|struct|alias)\s+([A-Za-z_]\w*)/g)
    ) {
      if (!declared.has(m[1])) declared.set(m[1], i + 1);
    }
  });
  // A longer name that begins alike is what a truncated identifier usually meant.
  const name = closest(unknown, declared.keys()) ?? [...declared.keys()].find((d) => d.startsWith(unknown));
  return name === undefined ? undefined : { name, line: declared.get(name)! };
}
