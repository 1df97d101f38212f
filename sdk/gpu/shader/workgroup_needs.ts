import { Constants } from "./wgsl_constants.ts";
import type { Declarations } from "./wgsl_declarations.ts";
import { Layouts } from "./wgsl_layout.ts";
import { WgslFault } from "./wgsl_tokens.ts";

/** What an entry point's workgroup takes. Fields are undefined where that cannot be told before the driver sees it. */
export interface WorkgroupNeeds {
  /** Its invocations along x, y and z. */
  readonly size?: readonly [number, number, number];
  /** Bytes of the `var<workgroup>` that it uses, each rounded up to 16 as WebGPU counts them. */
  readonly bytes?: number;
}

/** What an entry point's workgroup takes, with values of overrides by name. */
export function workgroupNeeds(
  module: Declarations,
  entryPoint: string,
  constants: Readonly<Record<string, number>>,
): WorkgroupNeeds {
  const worked = new Constants(module, constants);
  const layouts = new Layouts(module, worked);
  const args = module.byName.get(entryPoint)?.attributes.get("workgroup_size");
  const used = usedBy(module, entryPoint);
  return {
    size: args && known(() => {
      const [x, y = 1, z = 1] = args.map((e) => worked.integer(e, "a workgroup's size", 1, 0xffffffff));
      return [x, y, z] as const;
    }),
    bytes: known(() =>
      [...module.byName.values()]
        .filter((d) => d.kind === "var" && d.space[0] === "workgroup" && d.type && used.has(d.name))
        .reduce((sum, d) => sum + Math.ceil(layouts.of(d.type!).size / 16) * 16, 0)
    ),
  };
}

// ---------------------------------------------------------------------------

function known<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (e) {
    if (e instanceof WgslFault) return undefined;
    throw e;
  }
}

/** Names in a function and in those that it calls. A local variable of the same name counts too. */
function usedBy(module: Declarations, entryPoint: string): ReadonlySet<string> {
  const used = new Set([entryPoint]);
  for (const name of used) { // also over those that are added meanwhile
    for (const inside of module.byName.get(name)?.uses ?? []) used.add(inside);
  }
  return used;
}
