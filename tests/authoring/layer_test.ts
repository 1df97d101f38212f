import { assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { replaceableFunction, Tensor } from "@kernelwright/sdk";
import { add } from "@kernelwright/sdk/ops";
import { constructorArguments, layer, layerName, layerNameOfClass, Linear } from "@kernelwright/sdk/nn";
import { makeReplaceable, Module, RMSNorm } from "@kernelwright/sdk/nn";
import { assertRefused } from "../helpers/refused.ts";

class Foreign extends Module {
  constructor(readonly width: number, readonly gain = 2) {
    super();
  }
  override forward(x: Tensor): Tensor {
    return x;
  }
}

describe("@layer", () => {
  it("records what each instance was built with, and not what was left out", () => {
    assertEquals(constructorArguments(new RMSNorm(8)), [8]);
    assertEquals(constructorArguments(new RMSNorm(8, 1e-3)), [8, 1e-3]);
    assertEquals(constructorArguments(new Linear(2, 3, false)), [2, 3, false]);
  });

  it("names instances and the class", () => {
    assertEquals([layerName(new RMSNorm(8)), layerNameOfClass(RMSNorm)], ["RMSNorm", "RMSNorm"]);
  });

  it("leaves the class what it was: name, instanceof, constructor", () => {
    const norm = new RMSNorm(8);
    assertEquals([RMSNorm.name, RMSNorm.length], ["RMSNorm", 1]);
    assertInstanceOf(norm, RMSNorm);
    assertStrictEquals(norm.constructor, RMSNorm);
    const copy = new (norm.constructor as typeof RMSNorm)(4);
    assertEquals(constructorArguments(copy), [4]);
  });

  it("is not inherited: a subclass computes something of its own", () => {
    class GemmaNorm extends RMSNorm {}
    const norm = new GemmaNorm(8);
    assertEquals([layerName(norm), constructorArguments(norm)], [undefined, undefined]);
  });

  it("can give a subclass another name", () => {
    @layer("GemmaNorm")
    class GemmaNorm extends RMSNorm {
      constructor(width: number) {
        super(width, 1e-5);
      }
    }
    const norm = new GemmaNorm(8);
    assertEquals([layerName(norm), constructorArguments(norm)], ["GemmaNorm", [8]]);
  });

  for (const name of ["", "2D", "a.b", "RMS Norm", "*"]) {
    it(`refuses the name ${JSON.stringify(name)}`, () => {
      assertRefused(
        () => layer(name)(Foreign, {} as never),
        `
        KW-LAYER-NAME
          Cannot mark a layer as ${JSON.stringify(name)}
          Use letters, digits, _ and -, beginning with a letter.`,
      );
    });
  }
});

describe("makeReplaceable()", () => {
  it("names a class that one does not own, also instances that are there already, and changes nothing in it", () => {
    class Owned extends Foreign {}
    const early = new Owned(3);
    const before = [
      Object.getOwnPropertyDescriptors(Owned),
      Object.getOwnPropertyDescriptors(Owned.prototype),
    ];
    makeReplaceable(Owned, "Owned");
    assertEquals([layerName(early), constructorArguments(early)], ["Owned", undefined]);
    assertEquals([
      Object.getOwnPropertyDescriptors(Owned),
      Object.getOwnPropertyDescriptors(Owned.prototype),
    ], before);
  });

  it("reads the arguments off an instance", () => {
    makeReplaceable(Foreign, "Foreign", { argumentsOf: (m) => [m.width, m.gain] });
    assertEquals(constructorArguments(new Foreign(3)), [3, 2]);
  });

  it("does not name a subclass", () => {
    makeReplaceable(Foreign, "Foreign");
    class Derived extends Foreign {}
    assertEquals(layerName(new Derived(1)), undefined);
  });
});

describe("replaceableFunction()", () => {
  const Twice = replaceableFunction("twice", (x: Tensor) => add(x, x));

  it("makes modules that compute the function", async () => {
    const x = Tensor.from([1, 2], { device: "reference" });
    const twice = new Twice();
    assertEquals([...await twice.call(x).data()], [2, 4]);
    assertEquals([layerName(twice), Twice.name, constructorArguments(twice)], ["twice", "twice", []]);
  });

  it("gives each use a path of its own", () => {
    class Uses extends Module {
      first = new Twice();
      second = new Twice();
      override forward(x: Tensor): Tensor {
        return this.second.call(this.first.call(x));
      }
    }
    assertEquals([...new Uses().namedModules()].map(([path]) => path), ["", "first", "second"]);
  });
});
