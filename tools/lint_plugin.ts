/**
 * The rules of this repository for `deno lint`.
 *
 * `kernelwright/no-bare-error`: what the SDK throws is a `KernelwrightError`, with a code, a place and what
 * to do. A bare `Error` has none of them.
 *
 * `kernelwright/no-spread-of-data`: a list of any length is not passed as arguments, of which an engine takes some 100,000.
 *
 * `kernelwright/zod-as-namespace`: `import { z }` keeps bundlers from leaving out what is not used of zod.
 *
 * @module
 */

/** The classes that say nothing about where and what to do. */
const BARE = new Set(["Error", "TypeError", "RangeError"]);

/** Methods that take any number of arguments, and so are handed lists. */
const COLLECTING = new Set(["max", "min", "push", "unshift", "fromCharCode", "fromCodePoint", "apply"]);

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
    "no-spread-of-data": {
      create(context) {
        if (!isSdkFile(context.filename)) return {};
        return {
          CallExpression(node) {
            const { callee } = node;
            if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier") return;
            if (!COLLECTING.has(callee.property.name)) return;
            if (!node.arguments.some((a) => a.type === "SpreadElement")) return;
            context.report({
              node,
              message: `A list is spread into ${callee.property.name}().`,
              hint:
                "A long one throws a RangeError: use a loop, or largestOf() and leastOf() of sdk/extremes.ts.",
            });
          },
        };
      },
    },
    "zod-as-namespace": {
      create(context) {
        if (!isSdkFile(context.filename)) return {};
        return {
          ImportDeclaration(node) {
            if (node.source.value !== "zod") return;
            if (node.specifiers.every((s) => s.type === "ImportNamespaceSpecifier")) return;
            context.report({
              node,
              message: "zod is imported by parts.",
              hint: 'Write `import * as z from "zod"`: with { z } a page gets all of it, 360 KB more.',
            });
          },
        };
      },
    },
  },
};
export default plugin;

function isSdkFile(filename: string): boolean {
  return filename.replaceAll("\\", "/").split("/").includes("sdk");
}
