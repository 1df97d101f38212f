import type { Command } from "commander";
import { KernelwrightError } from "../errors.ts";
import { type AdapterInfo, openGpu } from "../gpu/mod.ts";
import { drawTable } from "../kernelize/mod.ts";
import { describeReach, inspectReference, type Manifest, userSettings } from "../registry/mod.ts";
import { SDK_VERSION } from "../version.ts";
import { visibleLine } from "../visible.ts";

/** What `info` says of where it runs: what a bug report needs. */
export interface Surroundings {
  /** The SDK's version. */
  readonly sdk: string;
  /** The runtime, and what it runs on. */
  readonly runtime: {
    readonly deno: string;
    readonly v8: string;
    readonly typescript: string;
    readonly os: string;
    readonly osRelease: string;
    readonly arch: string;
  };
  /** The adapter that the SDK opens; null where there is none. */
  readonly adapter: AdapterInfo | null;
  /** Why there is no adapter. */
  readonly problem?: string;
  /** The optional features that the device was opened with. */
  readonly features: readonly string[];
  /** The limits that shaders and tensors meet. */
  readonly limits: Readonly<Record<string, number>>;
}

/** Adds the command `info`. */
export function registerInfo(program: Command): void {
  program.command("info")
    .description("show SDK, runtime and adapter; or a bundle's kernels, without running them")
    .argument("[REF]", "a folder with a bundle, https://…/kernel.js, jsr:… or npm:…")
    .option("--json", "print JSON; of a bundle, its kernel.json")
    .action(async (ref: string | undefined, { json }: { json?: boolean }) => {
      if (ref !== undefined) return await showBundle(ref, json ?? false);
      const found = await surroundings();
      console.log(json ? JSON.stringify(found, null, 2) : describe(found));
    });
}

/** Looks at the SDK, the runtime and the adapter. Without an adapter it says why, and the rest. */
export async function surroundings(): Promise<Surroundings> {
  const { os, arch } = Deno.build;
  const { deno, v8, typescript } = Deno.version;
  const known = {
    sdk: SDK_VERSION,
    runtime: { deno, v8, typescript, os, osRelease: Deno.osRelease(), arch },
  };
  try {
    const gpu = await openGpu();
    const limits = gpu.limits as unknown as Readonly<Record<string, number>>;
    return {
      ...known,
      adapter: gpu.info,
      features: [...gpu.features].sort(),
      limits: Object.fromEntries(LIMITS.map((name) => [name, limits[name]])),
    };
  } catch (error) {
    if (!(error instanceof KernelwrightError)) throw error;
    return { ...known, adapter: null, problem: error.message, features: [], limits: {} };
  }
}

// ---------------------------------------------------------------------------

const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupsPerDimension",
];

function describe({ sdk, runtime, adapter, problem, features, limits }: Surroundings): string {
  const { deno, v8, typescript, os, osRelease, arch } = runtime;
  const software = adapter?.software ? " (in software)" : "";
  const rows = [
    ["SDK", `@kernelwright/sdk ${sdk}`],
    ["runtime", `Deno ${deno} (V8 ${v8}, TypeScript ${typescript})`],
    ["system", `${os} ${osRelease}, ${arch}`],
    ["adapter", adapter ? `${adapter.description || adapter.device || "without a name"}${software}` : "none"],
    ...adapter
      ? [
        ["vendor", adapter.vendor || "unknown"],
        ["architecture", adapter.architecture || "unknown"],
        ["device", adapter.device || "unknown"],
        ["features", features.join(", ") || "none"],
      ]
      : [],
    ...Object.entries(limits).map(([name, value]) => [name, value.toLocaleString("en")]),
  ];
  const lines = drawTable(rows.map((row) => row.map(visibleLine)));
  return problem ? `${lines}\n${problem}` : lines;
}

async function showBundle(ref: string, json: boolean): Promise<void> {
  const { manifest, reaches } = await inspectReference(ref, {
    registries: (await userSettings()).registries,
  });
  const open = reaches.map((r) =>
    `  ✘ ${visibleLine(describeReach(r))}: no digest covers that, and it is not run`
  );
  if (json) {
    console.log(JSON.stringify(manifest, null, 2));
    for (const line of open) console.error(line);
  } else {
    const closed = "  closed: it imports the SDK and its own files, and nothing else";
    console.log([describeManifest(manifest), ...(open.length > 0 ? open : [closed])].join("\n"));
  }
}

function describeManifest({ name, version, license, sdk, kernels }: Manifest): string {
  const lines = [`${name}@${version}  ${license ?? "no license"}  for SDK ${sdk}`];
  for (const [kernel, k] of Object.entries(kernels)) {
    const parts = k.parts.map((p) => (p.name ? `${p.name}: ` : "") + p.layer);
    const parameters = (given: readonly { name: string; type: string; optional?: boolean }[]) =>
      given.map((p) => `${p.name}${p.optional ? "?" : ""}: ${p.type}`).join(", ");
    lines.push(
      `  ${kernel}  ${k.kind} ${parts.join(k.kind === "fuses" ? " → " : ", ")}`,
      `    forward(${parameters(k.forward.parameters)}): ${k.forward.result ?? "unknown"}`,
    );
    if (k.layout) lines.push(`    ${k.layout.name}(${parameters(k.layout.constructor)})`);
    for (const c of k.layout?.conversions ?? []) {
      lines.push(`    ${c.from.join(", ")} → ${c.to.join(", ")}${c.ops.map((o) => `  ${o.name}`).join("")}`);
    }
    lines.push(`    requires ${JSON.stringify(k.requires)}`);
  }
  return lines.map(visibleLine).join("\n");
}
