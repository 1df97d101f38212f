import { describe, it } from "@std/testing/bdd";
import { assertEquals } from "@std/assert";
import { dirname, join } from "@std/path";
import { checkRooms } from "../../tools/check_rooms.ts";

/** What the check finds in a tree of these files. */
async function check(files: Record<string, string>): Promise<string[]> {
  const root = Deno.makeTempDirSync();
  try {
    const config = { name: "@kernelwright/sdk", imports: { "@kernelwright/sdk": "./mod.ts" } };
    for (const [path, text] of Object.entries({ "deno.json": JSON.stringify(config), ...files })) {
      Deno.mkdirSync(dirname(join(root, path)), { recursive: true });
      Deno.writeTextFileSync(join(root, path), text);
    }
    return await checkRooms(root);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

const GROUND = {
  "sdk/errors.ts": "export class KernelwrightError {}",
  "sdk/tensor/mod.ts": `export * from "../errors.ts"; export type Tensor = number;`,
  "sdk/nn/mod.ts": `export * from "../tensor/mod.ts";`,
};

describe("checkRooms()", () => {
  it("allows imports from below, from the own room and from packages", async () => {
    assertEquals(
      await check({
        ...GROUND,
        "sdk/nn/linear.ts": `import "./mod.ts"; import "node:path"; import "../errors.ts";`,
        "sdk/authoring/layout.ts": `import "../nn/mod.ts";`,
        "mod.ts":
          `/** All. */\nexport * from "./sdk/nn/mod.ts";\nexport type {\n  Tensor,\n} from "./sdk/tensor/mod.ts";\n`,
      }),
      [],
    );
  });

  it("names file, line and both rooms of an import from above", async () => {
    assertEquals(await check({ ...GROUND, "sdk/tensor/a.ts": `\nimport "../nn/mod.ts";` }), [
      `sdk/tensor/a.ts:2: "../nn/mod.ts": room "tensor" imports "nn", which is above it`,
    ]);
  });

  it("sees types, re-exports and dynamic imports", async () => {
    const found = await check({
      ...GROUND,
      "sdk/gpu/a.ts": `import type { Tensor } from "../nn/mod.ts";`,
      "sdk/gpu/b.ts": `export { Tensor } from "../nn/mod.ts";`,
      "sdk/gpu/c.ts": `await import("../nn/mod.ts");`,
      "sdk/gpu/d.ts": `export const text = 'import "../nn/mod.ts"';`,
    });
    assertEquals(found.map((line) => line.split(":")[0]), ["sdk/gpu/a.ts", "sdk/gpu/b.ts", "sdk/gpu/c.ts"]);
  });

  it("refuses siblings, the entry of the package and what lies outside", async () => {
    const found = await check({
      ...GROUND,
      "mod.ts": `export * from "./sdk/nn/mod.ts";`,
      "tools/a.ts": "",
      "sdk/models/mod.ts": `export * from "../nn/mod.ts";`,
      "sdk/testing/a.ts": `import "../models/mod.ts";`,
      "sdk/testing/b.ts": `import "@kernelwright/sdk";`,
      "sdk/testing/c.ts": `import "../../tools/a.ts";`,
    });
    assertEquals(found, [
      `sdk/testing/a.ts:1: "../models/mod.ts": room "testing" imports its sibling "models"`,
      `sdk/testing/b.ts:1: "@kernelwright/sdk": room "testing" imports "mod.ts", which is not a room of the SDK`,
      `sdk/testing/c.ts:1: "../../tools/a.ts": room "testing" imports "tools/a.ts", which is not a room of the SDK`,
    ]);
  });

  it("refuses to reach past a room's mod.ts", async () => {
    assertEquals(
      await check({
        ...GROUND,
        "sdk/tensor/shape.ts": "export const rank = 1;",
        "sdk/nn/a.ts": `import "../tensor/shape.ts";`,
        "sdk/nn/b.ts": `import type { rank } from "../tensor/shape.ts";`,
        "sdk/nn/c.ts": `import "../errors.ts";`,
      }),
      [
        `sdk/nn/a.ts:1: "../tensor/shape.ts": room "nn" reaches past sdk/tensor/mod.ts`,
        `sdk/nn/b.ts:1: "../tensor/shape.ts": room "nn" reaches past sdk/tensor/mod.ts`,
      ],
    );
  });

  it("lets a wing import from its left, and mod.ts from everywhere in its room", async () => {
    assertEquals(
      await check({
        ...GROUND,
        "sdk/gpu/memory/pool.ts": "export const pool = 1;",
        "sdk/gpu/stream/stream.ts": `import "../memory/pool.ts";`,
        "sdk/gpu/device.ts": `import "./stream/stream.ts";`,
        "sdk/gpu/capture/record.ts": `import "../device.ts"; import "../memory/pool.ts";`,
        "sdk/gpu/mod.ts": `export * from "./device.ts"; export * from "./capture/record.ts";`,
        "sdk/ops/wgsl/a.wgsl": "",
        "sdk/ops/a.ts": `import code from "./wgsl/a.wgsl" with { type: "text" }; code;`,
      }),
      [],
    );
  });

  it("refuses a wing that imports from its right, types too, and a wing without a place", async () => {
    assertEquals(
      await check({
        ...GROUND,
        "sdk/gpu/device.ts": "export const device = 1;",
        "sdk/gpu/memory/a.ts": `import type { device } from "../device.ts";`,
        "sdk/gpu/memory/b.ts": `import "../stream/stream.ts";`,
        "sdk/gpu/stream/stream.ts": "",
        "sdk/gpu/attic/a.ts": `import "../device.ts";`,
      }),
      [
        `sdk/gpu/attic/a.ts:1: "../device.ts": sdk/gpu/attic has no place among the wings in tools/house.ts`,
        `sdk/gpu/memory/a.ts:1: "../device.ts": wing "memory" imports the room's top, which is to its right`,
        `sdk/gpu/memory/b.ts:1: "../stream/stream.ts": wing "memory" imports wing "stream", which is to its right`,
      ],
    );
  });

  it("names the way around a circle of files, unless it is one of types", async () => {
    assertEquals(
      await check({
        ...GROUND,
        "sdk/nn/a.ts": `import "./b.ts"; export type A = 1;`,
        "sdk/nn/b.ts": `import "./c.ts"; import type { A } from "./a.ts";`,
        "sdk/nn/c.ts": `import "./d.ts";`,
        "sdk/nn/d.ts": `export * from "./b.ts";`,
      }),
      ["sdk/nn/b.ts: a circle of imports: sdk/nn/b.ts → sdk/nn/c.ts → sdk/nn/d.ts → sdk/nn/b.ts"],
    );
  });

  it("refuses a room without a floor", async () => {
    assertEquals(await check({ ...GROUND, "sdk/attic/a.ts": `import "../nn/mod.ts";` }), [
      `sdk/attic/a.ts:1: "../nn/mod.ts": sdk/attic is not a room: give it a floor in tools/house.ts`,
    ]);
  });

  it("refuses anything but re-exports in mod.ts", async () => {
    const mod = `export * from "./sdk/nn/mod.ts";\n\nconst x = 1;\nexport { x };\n`;
    assertEquals(await check({ ...GROUND, "mod.ts": mod }), [
      "mod.ts:3: only re-exports belong here: const x = 1;",
      "mod.ts:4: only re-exports belong here: export { x };",
    ]);
  });
});
