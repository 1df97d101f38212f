/** Decorators under `experimentalDecorators`, by a compiler that has the option, and by hand as such code calls them. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import * as esbuild from "esbuild";
import { kernel, KernelwrightError, layer, Layout, layout, Module, replaces } from "../../mod.ts";
import { RMSNorm } from "@kernelwright/sdk/nn";

const site = replaces(RMSNorm);

class Plain extends Module {
  override forward(): void {}
}
class Run {
  forward(): void {}
}

// deno-lint-ignore no-explicit-any -- called as the older kind is
const DECORATORS: [string, (...args: any[]) => unknown, unknown][] = [
  ["@layer", layer("Plain"), Plain],
  ["@layout", layout({ site }) as () => unknown, class Own extends Layout {}],
  ["@kernel", kernel({ site }) as () => unknown, Run],
];

describe("decorators of the older kind", () => {
  it("name the compiler option that is wrong", () => {
    for (const [name, decorator, cls] of DECORATORS) {
      // A class alone; a prototype, a key and a descriptor, as for a method.
      for (
        const args of [[cls], [cls, undefined], [{}, "forward", { value: () => {} }], [{}, "weight"], [
          cls,
          "x",
          0,
        ]]
      ) {
        const error = assertThrows(() => decorator(...args), KernelwrightError);
        assertEquals(error.code, "KW-DECORATOR");
        assertStringIncludes(error.message, `Cannot apply ${name} to`);
        assertStringIncludes(error.message, 'Take "experimentalDecorators" out of compilerOptions');
      }
    }
  });

  it("say so above something that is not a class", () => {
    for (const [name, decorator] of DECORATORS) {
      const context = { kind: "method", name: "forward", addInitializer: () => {} };
      const error = assertThrows(() => decorator(() => {}, context), KernelwrightError);
      assertEquals(
        error.message,
        `KW-DECORATOR\n  Cannot apply ${name} to a method\n  Write ${name} above a class.`,
      );
    }
  });

  for (const name of ["layer", "layout", "kernel"]) {
    it(`are told by what a compiler with the option makes of @${name}`, async () => {
      const sdk = new URL("../../mod.ts", import.meta.url).href;
      const uses = {
        layer: '@sdk.layer("Mine") class Mine extends sdk.Module {}',
        layout: "@sdk.layout({ site }) class Mine extends sdk.Layout {}",
        kernel: "@sdk.kernel({ site }) class Mine { forward() {} }",
      }[name];
      const { code } = await esbuild.transform(
        `import * as sdk from ${JSON.stringify(sdk)};
         import { RMSNorm } from ${JSON.stringify(new URL("../../sdk/entry/nn.ts", import.meta.url).href)};
         const site = sdk.replaces(RMSNorm);
         export ${uses}`,
        { loader: "ts", tsconfigRaw: { compilerOptions: { experimentalDecorators: true } } },
      );
      await esbuild.stop();
      const file = await Deno.makeTempFile({
        dir: fromFileUrl(new URL(".", import.meta.url)),
        suffix: ".mjs",
      });
      try {
        await Deno.writeTextFile(file, code);
        let found: unknown;
        await import(`file://${file}`).catch((error) => found = error);
        assertEquals((found as KernelwrightError | undefined)?.code, "KW-DECORATOR", String(found));
      } finally {
        await Deno.remove(file);
      }
    });
  }
});
