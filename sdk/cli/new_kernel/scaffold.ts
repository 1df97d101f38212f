/** Writes a kernel's package: all of it, or nothing. */
import { dirname, join, resolve } from "@std/path";
import { raise } from "../../errors.ts";
import { describe, type KernelPlanText, kernelSource, layoutSource } from "./kernel_source.ts";
import { licenseText } from "./license.ts";

/** What a package is made from. */
export interface ScaffoldOptions {
  /** The kernel. */
  readonly plan: KernelPlanText;
  /** The folder to make. */
  readonly folder: string;
  /** The package's name, e.g. `@you/my-kernel`. */
  readonly packageName: string;
  /** An SPDX name, or `none`. */
  readonly license: string;
}

/**
 * Writes the package beside its place and moves it there when it is whole.
 *
 * @throws KW-NEW-EXISTS, KW-CLI-DENO; then nothing was written.
 */
export async function scaffold(options: ScaffoldOptions): Promise<string[]> {
  const folder = resolve(options.folder);
  if (await exists(folder)) {
    raise("KW-NEW-EXISTS", `${folder} exists already`, "Give another --dir, or remove it first.", {
      file: folder,
    });
  }
  const files = await filesOf(options, folder);
  await Deno.mkdir(resolve(folder, ".."), { recursive: true });
  const draft = await Deno.makeTempDir({ dir: resolve(folder, ".."), prefix: ".new-kernel-" });
  try {
    for (const [name, text] of files) await Deno.writeTextFile(join(draft, name), text);
    await format(draft);
    await Deno.chmod(draft, 0o755).catch(() => {}); // a temporary folder is the owner's alone
    await Deno.rename(draft, folder);
  } catch (error) {
    await Deno.remove(draft, { recursive: true }).catch(() => {});
    throw error;
  }
  return [...files.keys()].sort();
}

// ---------------------------------------------------------------------------

const TEMPLATES = new URL("../../../templates/stages/", import.meta.url);

async function filesOf(
  { plan, packageName, license }: ScaffoldOptions,
  folder: string,
): Promise<Map<string, string>> {
  const { name } = plan;
  const layout = layoutSource(plan);
  const shapes = plan.parts.some((p) => ["Linear", "LlamaMLP"].includes(p.stage.module))
    ? "[64, 256].map((width) => ({ batch: 1, tokens: 16, width, inner: 2 * width }))"
    : "[64, 256, 1024].map((width) => ({ batch: 1, tokens: 64, width }))";
  const files = new Map<string, string>([
    ["kernel.ts", kernelSource(plan)],
    ["mod.ts", modSource(plan)],
    [
      "kernel_test.ts",
      `import { testKernel } from "@kernelwright/sdk/testing";\nimport { ${name} } from "./mod.ts";\n\ntestKernel(${name});\n`,
    ],
    [
      "kernel_bench.ts",
      `import { benchMain } from "@kernelwright/sdk/testing";\nimport { ${name} } from "./mod.ts";\n\n` +
      `await benchMain(${name}, { shapes: ${shapes} });\n`,
    ],
    ["deno.json", denoJson(packageName, license, folder)],
    ["README.md", readme(plan, packageName)],
  ]);
  if (layout) files.set("layout.ts", layout);
  if (license !== "none") files.set("LICENSE", licenseText(license));
  for (const file of new Set(plan.parts.flatMap((p) => p.stage.files))) {
    const text = await (await fetch(new URL(file, TEMPLATES))).text();
    // A published template imports this package by a path.
    files.set(file, text.replaceAll(/"(\.\.\/)+mod\.ts"/g, '"@kernelwright/sdk"'));
  }
  return files;
}

function modSource(plan: KernelPlanText): string {
  const layout = plan.forwardOnly ? "" : `export { ${plan.name}Layout } from "./layout.ts";\n`;
  return `/**\n * ${
    describe(plan)
  }.\n *\n * @module\n */\nexport { ${plan.name} } from "./kernel.ts";\n${layout}`;
}

function denoJson(name: string, license: string, folder: string): string {
  const sdk = new URL("../../../", import.meta.url);
  const checkout = sdk.protocol === "file:" ? decodeURIComponent(sdk.pathname).replace(/\/$/, "") : undefined;
  // Not yet published, or being changed: a checkout serves its own code. Members of its workspace have it anyway.
  const member = ["examples", "templates"].some((home) => dirname(folder) === `${checkout}/${home}`);
  const links = checkout && !member
    ? { links: [checkout, ...["assert", "path", "testing"].map((m) => `${checkout}/tools/std/${m}`)] }
    : {};
  return JSON.stringify(
    {
      name,
      version: "0.1.0",
      ...(license === "none" ? {} : { license }),
      exports: "./mod.ts",
      imports: { "@kernelwright/sdk": "jsr:@kernelwright/sdk@^0.1.0" },
      tasks: {
        check: "deno fmt --check && deno lint && deno check",
        test: "deno test -A",
        bench: "deno run -A kernel_bench.ts",
        bundle: "deno run -A jsr:@kernelwright/sdk@^0.1.0/cli bundle .",
      },
      fmt: { lineWidth: 110 },
      exclude: ["dist/"],
      publish: { exclude: ["kernel_test.ts", "kernel_bench.ts"] },
      ...links,
    },
    null,
    2,
  ) + "\n";
}

/** Where modules lie in the decoder layers of Llama and its kin. */
const PLACES: Readonly<Record<string, string>> = { RMSNorm: "post_attention_layernorm", LlamaMLP: "mlp" };

function readme(plan: KernelPlanText, packageName: string): string {
  const [first] = plan.parts;
  const at = ({ stage, name }: KernelPlanText["parts"][number]) =>
    `model.layers.*.${PLACES[stage.module] ?? `<path of ${name}>`}`;
  const entry = plan.kind === "replaces"
    ? { replace: first.stage.module, with: `./${packageName.split("/").at(-1)}:${plan.name}` }
    : {
      [plan.kind === "fuses" ? "fuse" : "fuseParallel"]: plan.parts.map((p) => [p.stage.module, at(p)]),
      with: `./${packageName.split("/").at(-1)}:${plan.name}`,
    };
  return `# ${plan.name}

${describe(plan)}.

| | |
|---|---|
| \`kernel.ts\` | what runs: it dispatches shaders, and keeps nothing between calls |
${
    plan.forwardOnly
      ? ""
      : "| `layout.ts` | the parameters as the kernel wants them, and how the originals become them |\n"
  }| \`*.wgsl\` | the shaders, each with a \`.ts\` that calls it |
| \`deno task test\` | holds the kernel against the modules: odd sizes, outliers, NaN, memory, leaks |
| \`deno task bench\` | times it against the modules |
| \`deno task bundle\` | packs it into one file and a \`kernel.json\` |

## In a model

\`kernels.json\`:

\`\`\`json
${JSON.stringify({ kernels: [entry] }, null, 2)}
\`\`\`
${
    plan.kind === "replaces"
      ? ""
      : "\nThe paths are those of Llama's decoder layers; `kernelwright inspect DIR` shows your model's.\n"
  }
## The ladder

1. Plain: one invocation for each result. This is what you have.
2. Next: what is said as "to improve" in the shaders. Measure each step, and note here what it brought.
`;
}

async function format(folder: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", "--no-config", "--line-width=110", "."],
    cwd: folder,
  }).output();
  if (success) return;
  raise(
    "KW-CLI-DENO",
    `deno fmt failed: ${new TextDecoder().decode(stderr).slice(0, 2000)}`,
    "See that deno fmt runs in another folder; what new-kernel wrote is gone.",
  );
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
