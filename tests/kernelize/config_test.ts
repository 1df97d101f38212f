import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type KernelConfig, kernelize } from "@kernelwright/sdk";
import { fuse, parseKernelConfig, replace } from "@kernelwright/sdk/config";
import { assertRefused, assertRefusedLater } from "../helpers/refused.ts";
import { Norm, NormMLP, Stack } from "./fixtures.ts";

const refuses = (value: unknown, message: string) =>
  assertRefused(() => parseKernelConfig(value, "kernels.json"), message);

describe("parseKernelConfig()", () => {
  it("takes what kernels.json of the readme says", () => {
    const config = {
      kernels: [
        {
          replace: "RMSNorm",
          at: "model.layers.*.input_layernorm",
          with: "./examples/custom-rmsnorm:CustomRMSNorm",
        },
        { fuse: [["RMSNorm", "model.layers.*.norm"], ["LlamaMLP", "model.layers.*.mlp"]], with: "./a:B" },
        { fuseParallel: ["A", "B"], with: { webgpu: { inference: "./a:B", "training|capture": "./a:C" } } },
        {
          replace: "A",
          with: [{ device: { vendor: "nvidia", limits: { maxBufferSize: 1 } }, kernel: "./a:B" }],
        },
        { disable: "RMSNorm", at: ["a", { regex: "^b" }] },
      ],
    };
    assertEquals(parseKernelConfig(config) as unknown, config);
  });

  it("takes classes where code gives them", () => {
    const kernels = [replace("RMSNorm", Norm), fuse(["RMSNorm", "LlamaMLP"], NormMLP, { fallback: false })];
    assertEquals(parseKernelConfig({ kernels }), { kernels } as KernelConfig);
  });

  it("refuses an unknown key at the top", () =>
    refuses(
      { kernel: [], kernels: [] },
      `
        KW-CONFIG-KERNELS  kernels.json
          the config: unrecognized key: "kernel"
          An entry is { replace, at?, with }, { fuse, with }, { fuseParallel, with } or { disable, at? }.`,
    ));
  it("refuses no list", () =>
    refuses(
      { kernels: { replace: "A" } },
      `
        KW-CONFIG-KERNELS  kernels.json kernels
          kernels: invalid input: expected array, received object
          An entry is { replace, at?, with }, { fuse, with }, { fuseParallel, with } or { disable, at? }.`,
    ));
  it("refuses something else than an object", () =>
    refuses(
      "kernels",
      `
        KW-CONFIG-KERNELS  kernels.json
          the config: invalid input: expected object, received string
          An entry is { replace, at?, with }, { fuse, with }, { fuseParallel, with } or { disable, at? }.`,
    ));
  it("refuses an unknown key of an entry", () =>
    refuses(
      { kernels: [{ disable: "A" }, { replace: "A", where: "b", with: "./a:B" }] },
      `
        KW-CONFIG-KERNELS  kernels.json kernels[1]
          kernels[1]: unrecognized key: "where"
          An entry is { replace, at?, with }, { fuse, with }, { fuseParallel, with } or { disable, at? }.`,
    ));
  it("refuses an entry of two kinds", () =>
    refuses(
      { kernels: [{ replace: "A", disable: "B" }] },
      `
        KW-CONFIG-KERNELS  kernels.json kernels[0]
          kernels[0]: expected exactly one of replace, fuse, fuseParallel, disable
          An entry is { replace, at?, with }, { fuse, with }, { fuseParallel, with } or { disable, at? }.`,
    ));
  it("refuses an entry of no kind", () =>
    refuses(
      { kernels: [{ swap: "A", with: "./a:B" }] },
      `
        KW-CONFIG-KERNELS  kernels.json kernels[0]
          kernels[0]: expected exactly one of replace, fuse, fuseParallel, disable
          An entry is { replace, at?, with }, { fuse, with }, { fuseParallel, with } or { disable, at? }.`,
    ));
  it("refuses an entry without its kernel", () =>
    refuses(
      { kernels: [{ replace: "A" }] },
      `
        KW-CONFIG-KERNELS  kernels.json kernels[0].with
          kernels[0].with: expected a class decorated with @kernel, or a reference such as ./folder:ClassName, or several by mode or device
          An entry is { replace, at?, with }, { fuse, with }, { fuseParallel, with } or { disable, at? }.`,
    ));
  it("refuses what is no reference", () =>
    refuses(
      { kernels: [{ replace: "A", with: "./a" }] },
      `
        KW-CONFIG-KERNELS  kernels.json kernels[0].with
          kernels[0].with: expected a class decorated with @kernel, or a reference such as ./folder:ClassName
          An entry is { replace, at?, with }, { fuse, with }, { fuseParallel, with } or { disable, at? }.`,
    ));
  it("refuses a class that is no kernel", () =>
    refuses(
      { kernels: [{ replace: "A", with: Stack }] },
      `
        KW-CONFIG-KERNELS  kernels.json kernels[0].with
          kernels[0].with: expected a class decorated with @kernel, or a reference such as ./folder:ClassName, or several by mode or device
          An entry is { replace, at?, with }, { fuse, with }, { fuseParallel, with } or { disable, at? }.`,
    ));
  it("refuses a fusion of one", () =>
    refuses(
      { kernels: [{ fuse: ["A"], with: "./a:B" }] },
      `
        KW-CONFIG-KERNELS  kernels.json kernels[0].fuse
          kernels[0].fuse: expected two parts or more
          An entry is { replace, at?, with }, { fuse, with }, { fuseParallel, with } or { disable, at? }.`,
    ));
  it("refuses a part that is neither name nor pair", () =>
    refuses(
      { kernels: [{ fuse: [["A", "a", "b"], "B"], with: "./a:B" }] },
      `
        KW-CONFIG-KERNELS  kernels.json kernels[0].fuse[0]
          kernels[0].fuse[0]: expected a layer name, or [name, path]
          An entry is { replace, at?, with }, { fuse, with }, { fuseParallel, with } or { disable, at? }.`,
    ));
  it("refuses an unknown property of a device", () =>
    refuses(
      { kernels: [{ replace: "A", with: [{ device: { vender: "x" }, kernel: "./a:B" }] }] },
      `
        KW-CONFIG-KERNELS  kernels.json kernels[0].with[0].device
          kernels[0].with[0].device: unrecognized key: "vender"
          An entry is { replace, at?, with }, { fuse, with }, { fuseParallel, with } or { disable, at? }.`,
    ));
  it("refuses a wrong type deep inside", () =>
    refuses(
      { kernels: [{ replace: "A", with: { webgpu: [{ kernel: "./a:B", mode: 3 }] } }] },
      `
        KW-CONFIG-KERNELS  kernels.json kernels[0].with.webgpu[0].mode
          kernels[0].with.webgpu[0].mode: invalid input: expected string, received number
          An entry is { replace, at?, with }, { fuse, with }, { fuseParallel, with } or { disable, at? }.`,
    ));
  it("says all that is wrong, the first one first", () =>
    refuses(
      { kernels: [{ replace: "", with: "./a:B" }, { disable: 3 }] },
      `
        KW-CONFIG-KERNELS  kernels.json kernels[0].replace
          kernels[0].replace: expected a layer name
          kernels[1].disable: invalid input: expected string, received number
          An entry is { replace, at?, with }, { fuse, with }, { fuseParallel, with } or { disable, at? }.`,
    ));

  it("refuses a mode that there is not, when the model is kernelized", () =>
    assertRefusedLater(
      () => kernelize(new Stack(), { kernels: [replace("RMSNorm", { webgpu: { inferense: Norm } })] }),
      `
        KW-CONFIG-VALUE  kernels[0].with
          Unknown mode "inferense"
          Known: inference, training, inference|capture, training|capture, fallback.`,
    ));
});
