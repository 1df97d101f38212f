import { assertEquals } from "@std/assert";
import { afterAll, beforeAll } from "@std/testing/bdd";
import { currentGpu, memory, type OpenedGpu, openGpu } from "../../sdk/gpu/mod.ts";

/** Opens one device for the tests of a file, and at their end destroys it; what they made must be released by then. */
export function gpuForFile(): void {
  let before = 0;
  beforeAll(async () => {
    await openGpu();
    before = memory().tensors;
  });
  afterAll(() => {
    const after = memory().tensors;
    currentGpu().destroy();
    assertEquals(after, before, "tensors that the tests of this file did not release");
  });
}

/** The opened device. */
export function gpu(): OpenedGpu {
  return currentGpu();
}
