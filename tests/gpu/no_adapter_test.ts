import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openGpu } from "../../sdk/gpu/mod.ts";

describe("openGpu() without an adapter", () => {
  const refused = async (gpu: unknown) => {
    const usual = Object.getOwnPropertyDescriptor(navigator, "gpu");
    Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true });
    try {
      return (await assertRejects(() => openGpu(), Error) as Error).message;
    } finally {
      if (usual) Object.defineProperty(navigator, "gpu", usual);
      else delete (navigator as unknown as Record<string, unknown>).gpu;
    }
  };

  it("says which driver to install", async () => {
    assertEquals(
      await refused({ requestAdapter: () => Promise.resolve(null) }),
      "KW-GPU-NONE\n  No WebGPU adapter was found\n" +
        "  Install a Vulkan driver. Without a GPU, Mesa's software driver serves: on Debian and Ubuntu " +
        "`apt-get install mesa-vulkan-drivers libvulkan1`.",
    );
  });

  it("says which runtime to use where there is no WebGPU", async () => {
    assertEquals(
      await refused(undefined),
      "KW-GPU-NONE\n  No WebGPU adapter was found\n" +
        "  This runtime has no WebGPU: use Deno 2.9 or newer, or a browser that has it.",
    );
  });

  it("says how a page gets WebGPU where it came over http", async () => {
    Reflect.set(globalThis, "isSecureContext", false);
    try {
      assertEquals(
        await refused(undefined),
        "KW-GPU-NONE\n  No WebGPU adapter was found\n  A page has WebGPU over https, or on localhost.",
      );
    } finally {
      Reflect.deleteProperty(globalThis, "isSecureContext");
    }
  });
});
