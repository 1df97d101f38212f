/**
 * What is known of software adapters beforehand, in the form in which a probe writes it: shape class ─► choice.
 *
 * Measured with llvmpipe (GPU time by timestamps, interleaved). Against 4×4 outputs with scalar loads, blocks of 16×16
 * take 0.15 to 0.45 of the time (512³ 0.21, 64×1408×512 0.17, 250×330×133 0.45), and tiles 6 to 100 times as long as
 * blocks. A row of `linear` waits for its weights whatever its block, and four columns leave the most invocations; a
 * row of `matmul` jumps a page with each step of the depth and should find 256 bytes there: 1×1024×1024 takes 0.15 of
 * the plain product's time with 8 columns, 0.64 with 4. With few rows blocks of 8×8 are within the scatter of those of
 * 16×16 (0.7 to 1.4 times as long); with 16 rows and more they take 1.4 times as long. So all classes of an operator
 * and height say the same.
 */
import type { ProductChoice } from "./choice.ts";

/** By shape class. */
export const KNOWN_ON_SOFTWARE: Readonly<Record<string, ProductChoice>> = Object.fromEntries(
  allClasses().map(({ operator, height, shape }) => [shape, chosen(operator, height)]),
);

// ---------------------------------------------------------------------------

function chosen(operator: string, height: string): ProductChoice {
  if (height === "1") return operator === "linear" ? "block 1x4" : "block 1x8";
  return "block 16x16";
}

function allClasses(): { operator: string; height: string; shape: string }[] {
  const sizes = ["<256", "256-1023", "1024+"];
  return ["linear", "matmul"].flatMap((operator) =>
    ["f32", "f16"].flatMap((dtype) =>
      ["1", "2-15", "16-127", "128+"].flatMap((height) =>
        sizes.flatMap((columns) =>
          sizes.map((depth) => ({
            operator,
            height,
            shape: `${operator} ${dtype} ${height} x ${columns} x ${depth}`,
          }))
        )
      )
    )
  );
}
