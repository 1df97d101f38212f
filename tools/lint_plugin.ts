/**
 * The rules of this repository for `deno lint`.
 *
 * `kernelwright/no-bare-error`: what the SDK throws is a `KernelwrightError`, with a code, a place and what
 * to do. A bare `Error` has none of them.
 *
 * @module
 */

/** The classes that say nothing about where and what to do. */
const BARE = new Set(["Error", "TypeError", "RangeError"]);

const plugin: Deno.lint.Plugin = {
  name: "kernelwright",
  rules: {
    "no-bare-error": {
      create(context) {
        if (!isSdkFile(context.filename)) return {};
        const check = (node: Deno.lint.NewExpression | Deno.lint.CallExpression) => {
          if (node.callee.type !== "Identifier" || !BARE.has(node.callee.name)) return;
          context.report({
            node,
            message: `A bare ${node.callee.name} inside sdk/.`,
            hint: "Use KernelwrightError: it carries a code, the place, and what to do.",
          });
        };
        // `Error("…")` without `new` makes one too.
        return { NewExpression: check, CallExpression: check };
      },
    },
  },
};
export default plugin;

function isSdkFile(filename: string): boolean {
  return filename.replaceAll("\\", "/").split("/").includes("sdk");
}
