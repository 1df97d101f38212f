import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { kernel, replaces, shader, type Tensor } from "@kernelwright/sdk";
import { RMSNorm } from "@kernelwright/sdk/nn";
import { decorate } from "../helpers/decorate.ts";
import { assertRefused } from "../helpers/refused.ts";

const cache: unique symbol = Symbol("cache");
const site = replaces(RMSNorm);
const declare = (cls: abstract new (...args: never[]) => unknown) => () => decorate(kernel({ site }), cls);

abstract class Base {
  forward(x: Tensor): Tensor {
    return x;
  }
}

describe("A kernel is stateless:", () => {
  it("a constructor with parameters is refused", () => {
    class Parameters extends Base {
      constructor(_gain: number) {
        super();
      }
    }
    assertRefused(
      declare(Parameters),
      `
      KW-KERNEL-STATE  Parameters
        The constructor of Parameters takes parameters
        Leave the constructor out: what a kernel needs is in its layout.`,
    );
  });

  it("fields are refused, each by name", () => {
    class Fields extends Base {
      calls = 0;
      [cache] = 1;
    }
    assertRefused(
      declare(Fields),
      `
      KW-KERNEL-STATE  Fields
        Fields has fields: calls, Symbol(cache)
        Keep parameters in the layout, and constants outside the class.`,
    );
  });

  it("what a constructor puts there is refused", () => {
    class Sets extends Base {
      declare gain: number;
      constructor() {
        super();
        this.gain = 2;
      }
    }
    assertRefused(
      declare(Sets),
      `
      KW-KERNEL-STATE  Sets
        Sets has fields: gain
        Keep parameters in the layout, and constants outside the class.`,
    );
  });

  it("a field of a class that it extends is refused", () => {
    class Remembers extends Base {
      last?: Tensor;
    }
    assertRefused(
      declare(class Inherits extends Remembers {}),
      `
      KW-KERNEL-STATE  Inherits
        Inherits has fields: last
        Keep parameters in the layout, and constants outside the class.`,
    );
  });

  for (
    const [what, value] of Object.entries<unknown>({
      array: [],
      map: new Map(),
      set: new Set(),
      "weak map": new WeakMap(),
      "typed array": new Float32Array(2),
      object: {},
    })
  ) {
    it(`a static ${what} is refused`, () => {
      class Static extends Base {
        static cache = value;
      }
      assertRefused(
        declare(Static),
        `
        KW-KERNEL-STATE  Static
          The static "cache" of Static can change
          Freeze it, or keep it outside the class.`,
      );
    });
  }

  it("a static with a setter is refused", () => {
    class Setter extends Base {
      static get gain() {
        return 1;
      }
      static set gain(_value: number) {}
    }
    assertRefused(
      declare(Setter),
      `
      KW-KERNEL-STATE  Setter
        The static "gain" of Setter can change
        Freeze it, or keep it outside the class.`,
    );
  });

  it("constants, frozen tables, shaders and helpers are allowed", () => {
    class Constants extends Base {
      static readonly tile = 16;
      static readonly table: readonly number[] = Object.freeze([1, 2]);
      static readonly code = shader({ name: "a.wgsl", code: "@compute @workgroup_size(1) fn main() {}" });
      static rows(x: Tensor): number {
        return x.shape[0];
      }
      helper(): number {
        return Constants.tile;
      }
    }
    assertEquals(declare(Constants)(), Constants);
  });

  it("a decorated class can be changed no more", () => {
    @kernel({ site })
    class Frozen {
      static gain = 1;
      forward(x: Tensor): Tensor {
        return x;
      }
    }
    assertThrows(() => Frozen.gain++, TypeError);
    assertThrows(() => Object.assign(Frozen, { cache: 1 }), TypeError);
    assertThrows(() => Frozen.prototype.forward = (x) => x, TypeError);
  });
});
