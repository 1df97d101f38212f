import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { checkSdkRange } from "../../sdk/registry/sdk_range.ts";
import { SDK_VERSION } from "../../sdk/version.ts";

describe("checkSdkRange()", () => {
  it("takes the ranges that this SDK is in", () => {
    for (const range of ["*", SDK_VERSION, `^${SDK_VERSION}`, `>=${SDK_VERSION}`]) {
      checkSdkRange(range, "./k:K");
    }
  });

  it("refuses the others, and ranges that cannot be read", () => {
    const { message } = assertThrows(() => checkSdkRange("^9", "./k:K"), Error);
    assertEquals(
      message,
      `KW-REF-SDK  ./k:K\n  The kernel needs @kernelwright/sdk "^9", and this is ${SDK_VERSION}\n` +
        "  Take a version of the kernel that was made for this SDK, or the SDK that it names.",
    );
    assertThrows(() => checkSdkRange("whatever", "./k:K"), Error, "KW-REF-SDK");
  });

  it("knows the version that is published", async () => {
    const text = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
    assertEquals(SDK_VERSION, JSON.parse(text).version);
  });
});
