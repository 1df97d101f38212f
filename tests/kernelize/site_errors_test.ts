/** Mistakes of a layout or a kernel that show only at a site: found on meta, and the model stays as it was. */
import { describe, it } from "@std/testing/bdd";
import {
  concatenate,
  type ConversionOp,
  type ConversionRule,
  convert,
  fuses,
  kernel,
  type KernelConfig,
  kernelize,
  Layout,
  layout,
  type Parameter,
  parameter,
  rename,
  replaces,
  Tensor,
  transpose,
} from "@kernelwright/sdk";
import { rmsNorm } from "@kernelwright/sdk/ops";
import { fuse, replace } from "@kernelwright/sdk/config";
import { Linear, LlamaMLP, type Module, RMSNorm } from "@kernelwright/sdk/nn";
import { assertRefusedLater } from "../helpers/refused.ts";
import { Stack, WIDTH } from "./fixtures.ts";
import { fill, leavesUnchanged } from "./unchanged.ts";

const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });
const gateUp = convert(["mlp.gate_proj.weight", "mlp.up_proj.weight"], "gate_up", [concatenate(0)]);
const rules = [rename("norm.weight", "scale"), gateUp, rename("mlp.down_proj.weight", "down")];

/** A model whose norm and MLP are fused with these conversions. */
async function refusesConversions(
  conversions: readonly ConversionRule[],
  message: string,
  drops: readonly string[] = [],
): Promise<void> {
  @layout({ site, conversions, drops })
  class Fused extends Layout {
    scale: Parameter;
    gate_up: Parameter;
    down: Parameter;
    constructor(norm: RMSNorm, mlp: LlamaMLP) {
      super();
      this.scale = parameter([norm.hidden_size]);
      this.gate_up = parameter([2 * mlp.intermediate_size, mlp.hidden_size]);
      this.down = parameter([mlp.hidden_size, mlp.intermediate_size]);
    }
  }
  @kernel({ site, layout: Fused })
  class Kernel {
    forward(x: Tensor): Tensor {
      return x;
    }
  }
  const entry = fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], Kernel);
  await refuses([entry], message);
}

async function refuses(
  kernels: KernelConfig["kernels"],
  message: string,
  model: Module = new Stack(),
): Promise<void> {
  fill(model);
  const base = new URL(import.meta.url);
  await leavesUnchanged(
    model,
    () => assertRefusedLater(() => kernelize(model, { kernels }, { base }), message),
  );
}

describe("conversions must", () => {
  it("give the shape that the layout has", () =>
    refusesConversions(
      [rules[0], gateUp, convert("mlp.down_proj.weight", "down", [transpose(0, 1)])],
      `
        KW-CONVERT-SHAPE  Kernel at "layers.0.norm"
          The conversion mlp.down_proj.weight → down: transpose gives f32 [12, 8], and the layout's "down" is f32 [8, 12]
          Its sources are f32 [8, 12].`,
    ));

  it("have ops that take their sources", () =>
    refusesConversions(
      [convert(["norm.weight", "mlp.up_proj.weight"], "scale", [concatenate(0)])],
      `
        KW-CONVERT-SHAPE  Kernel at "layers.0.norm" key "norm.weight, mlp.up_proj.weight"
          Cannot apply concatenate(dim: 0) to f32 [8], f32 [12, 8]: tensor 2 of 2 does not fit the first
          Only dimension 0 may differ, and the dtypes must be equal.`,
    ));

  it("fill every parameter", () =>
    refusesConversions(
      [gateUp, rules[2]],
      `
        KW-CONVERT-UNFILLED  Kernel at "layers.0.norm"
          No conversion fills the layout's "scale"
          Sources of the site: norm.weight, mlp.gate_proj.weight, mlp.up_proj.weight, mlp.down_proj.weight.`,
      ["norm.weight"],
    ));

  it("fill parameters that there are", () =>
    refusesConversions(
      [...rules.slice(1), rename("norm.weight", "scales")],
      `
        KW-CONVERT-UNFILLED  Kernel at "layers.0.norm"
          The conversion norm.weight → scales fills "scales", and the layout has no such parameter
          Did you mean "scale"?`,
    ));

  it("read every source, or drop it", async () => {
    @layout({ site: replaces(Linear), conversions: [rename("weight", "transposed")] })
    class NoBias extends Layout {
      transposed: Parameter;
      constructor(readonly in_features: number, readonly out_features: number, _bias = true) {
        super();
        this.transposed = parameter([out_features, in_features]);
      }
    }
    @kernel({ site: replaces(Linear), layout: NoBias })
    class NoBiasKernel {
      forward(x: Tensor): Tensor {
        return x;
      }
    }
    await refuses(
      [replace("Linear", NoBiasKernel)],
      `
      KW-CONVERT-UNREAD  NoBiasKernel at "layers.0"
        No conversion reads "bias"
        Convert it, or name it in drops: ["bias"].`,
      new Stack(() => new Linear(WIDTH, WIDTH)),
    );
  });

  it("have a reverse, or be marked as for loading only", () => {
    const first: ConversionOp = {
      name: "first",
      parameters: {},
      bind: (inputs) => ({
        label: "first()",
        inputs,
        outputs: [inputs[0]],
        moves: [],
        reverse: () => undefined,
      }),
    };
    return refusesConversions(
      [convert("norm.weight", "scale", [first]), ...rules.slice(1)],
      `
      KW-CONVERT-NO-REVERSE  Kernel at "layers.0.norm" key "norm.weight"
        Cannot reverse first() in the conversion norm.weight → scale: first
        Use ops that have a reverse, or mark the conversion { loadOnly: true }: then the model cannot be saved.`,
    );
  });

  it("read sources that there are", () =>
    refusesConversions(
      [rename("norm.wieght", "scale"), ...rules.slice(1)],
      `
        KW-CONVERT-SOURCE  Kernel at "layers.0.norm"
          The conversion norm.wieght → scale reads "norm.wieght", and the site has no such parameter
          Did you mean "norm.weight"?`,
    ));

  it("drop sources that there are", () =>
    refusesConversions(
      rules,
      `
        KW-CONVERT-SOURCE  Kernel at "layers.0.norm"
          drops names "mlp.bias", and the site has no such parameter
          Known: "norm.weight", "mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight".`,
      ["mlp.bias"],
    ));

  it("match something with their patterns", () =>
    refusesConversions(
      [rules[0], rules[2], convert("mlp.experts.*.weight", "gate_up", [concatenate(0)])],
      `
        KW-CONVERT-SOURCE  Kernel at "layers.0.norm"
          The conversion mlp.experts.*.weight → gate_up: concatenate matches no parameter of the site
          Sources: norm.weight, mlp.gate_proj.weight, mlp.up_proj.weight, mlp.down_proj.weight.`,
    ));
});

describe("a layout must", () => {
  it("not fail in its constructor", async () => {
    @layout({ site: replaces(RMSNorm), conversions: [] })
    class Fails extends Layout {
      constructor(hidden_size: number, eps = 1e-6) {
        super();
        throw new RangeError(`cannot be ${hidden_size} wide, ${eps}`);
      }
    }
    @kernel({ site: replaces(RMSNorm), layout: Fails })
    class FailsKernel {
      forward(x: Tensor): Tensor {
        return x;
      }
    }
    await refuses(
      [replace("RMSNorm", FailsKernel, { at: "layers.*.norm" })],
      `
        KW-LAYOUT-CONSTRUCT  FailsKernel at "layers.0.norm"
          The constructor of Fails failed: RangeError: cannot be 8 wide, 0.00001
          It is run on meta, with what the original was built with: nothing has values yet.`,
    );
  });

  it("fail nowhere: at the third site, after two that were fine", async () => {
    let built = 0;
    @layout({ site: replaces(RMSNorm), conversions: [rename("weight", "scale")] })
    class ThirdFails extends Layout {
      scale: Parameter;
      constructor(hidden_size: number, readonly eps = 1e-6) {
        super();
        if (++built === 3) throw new RangeError("the third");
        this.scale = parameter([hidden_size]);
      }
    }
    @kernel({ site: replaces(RMSNorm), layout: ThirdFails })
    class ThirdFailsKernel {
      forward(this: ThirdFails, x: Tensor): Tensor {
        return rmsNorm(x, this.scale, this.eps);
      }
    }
    await refuses(
      [replace("RMSNorm", ThirdFailsKernel)],
      `
        KW-LAYOUT-CONSTRUCT  ThirdFailsKernel at "norm"
          The constructor of ThirdFails failed: RangeError: the third
          It is run on meta, with what the original was built with: nothing has values yet.`,
    );
  });

  it("have parameters of its own", async () => {
    @layout({ site })
    class Keeps extends Layout {
      constructor(readonly norm: RMSNorm, _mlp: LlamaMLP) {
        super();
      }
    }
    @kernel({ site, layout: Keeps })
    class KeepsKernel {
      forward(x: Tensor): Tensor {
        return x;
      }
    }
    await refuses(
      [fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], KeepsKernel)],
      `
        KW-LAYOUT-SHARES  KeepsKernel at "layers.0.norm"
          The layout's "norm.weight" is the original's own parameter
          Build the layout's parameters again, with parameter([…]).`,
    );
  });
});

describe("a kernel must", () => {
  const normKernel = (forward: (x: Tensor) => unknown) => {
    @kernel({ site: replaces(RMSNorm) })
    class Kernel {
      forward(x: Tensor): Tensor {
        return forward(x) as Tensor;
      }
    }
    return [replace("RMSNorm", Kernel, { at: "layers.*.norm" })];
  };

  it("return the shape that the original returns", () =>
    refuses(
      normKernel((x) => x.reshape([-1])),
      `
        KW-SIGNATURE-FORWARD  Kernel at "layers.0.norm"
          The forward of Kernel returns f32 [48]; the modules that it stands for return f32 [2, 3, 8]
          Return the same shapes and dtypes, in the same form.`,
    ));

  it("return the dtype that the original returns", () =>
    refuses(
      normKernel((x) => Tensor.empty(x.shape, { dtype: "f16" })),
      `
        KW-SIGNATURE-FORWARD  Kernel at "layers.0.norm"
          The forward of Kernel returns f16 [2, 3, 8]; the modules that it stands for return f32 [2, 3, 8]
          Return the same shapes and dtypes, in the same form.`,
    ));

  it("return one tensor where the original does", () =>
    refuses(
      normKernel((x) => [x, x]),
      `
        KW-SIGNATURE-FORWARD  Kernel at "layers.0.norm"
          The forward of Kernel returns [f32 [2, 3, 8], f32 [2, 3, 8]]; the modules that it stands for return f32 [2, 3, 8]
          Return the same shapes and dtypes, in the same form.`,
    ));

  it("return something", () =>
    refuses(
      normKernel(() => undefined),
      `
        KW-SIGNATURE-FORWARD  Kernel at "layers.0.norm"
          The forward of Kernel returns nothing; the modules that it stands for return f32 [2, 3, 8]
          Return the same shapes and dtypes, in the same form.`,
    ));

  it("not be asynchronous", () =>
    refuses(
      normKernel((x) => Promise.resolve(x)),
      `
        KW-SIGNATURE-FORWARD  Kernel at "layers.0.norm"
          The forward of Kernel returns a promise; the modules that it stands for return f32 [2, 3, 8]
          Return the same shapes and dtypes, in the same form.`,
    ));

  it("run on meta", () =>
    refuses(
      normKernel((x) => x.shape[7].toFixed()),
      `
        KW-KERNEL-FORWARD  Kernel at "layers.0.norm"
          The forward of Kernel failed on meta: TypeError: Cannot read properties of undefined (reading 'toFixed')
          A forward must run on tensors without values.`,
    ));

  it("not look at values", () =>
    refuses(
      normKernel((x) => (x.data(), x)),
      `
        KW-TENSOR-META  Kernel at "layers.0.norm"
          Cannot read the values of a tensor on the meta device: it has none
          A forward that looks at values cannot be traced; load the weights first, or keep the values on the device.`,
    ));

  it("not count its calls in a static", async () => {
    @kernel({ site: replaces(RMSNorm) })
    class Counts {
      static calls = 0;
      forward(x: Tensor): Tensor {
        Counts.calls++;
        return x;
      }
    }
    await refuses(
      [replace("RMSNorm", Counts, { at: "layers.*.norm" })],
      `
        KW-KERNEL-STATE  Counts at "layers.0.norm"
          The forward of Counts sets "calls"
          A kernel keeps nothing between calls.`,
    );
  });

  it("not add a static", async () => {
    @kernel({ site: replaces(RMSNorm) })
    class Adds {
      forward(x: Tensor): Tensor {
        (Adds as unknown as { last: Tensor }).last = x;
        return x;
      }
    }
    await refuses(
      [replace("RMSNorm", Adds, { at: "layers.*.norm" })],
      `
        KW-KERNEL-STATE  Adds at "layers.0.norm"
          The forward of Adds sets "last"
          A kernel keeps nothing between calls.`,
    );
  });

  it("not fail in accepts", async () => {
    @kernel({ site: replaces(RMSNorm), accepts: (norm) => (norm as unknown as { a: { b: boolean } }).a.b })
    class Asks {
      forward(x: Tensor): Tensor {
        return x;
      }
    }
    await refuses(
      [replace("RMSNorm", Asks, { at: "layers.*.norm" })],
      `
        KW-KERNEL-ACCEPTS  Asks at "layers.0.norm"
          accepts of Asks failed: TypeError: Cannot read properties of undefined (reading 'b')
          Return true, false, or the reason why not.`,
    );
  });
});
