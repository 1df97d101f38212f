/** The files that security and proofs rest on, each with the tests that are to catch a change in it. @module */

/** A file and its tests. */
export interface Target {
  /** The file. */
  readonly file: string;
  /** Its tests. */
  readonly tests: readonly string[];
}

const REGISTRY = ["closed", "trust", "cache", "redirects", "registry", "packages"];

/** What `./dev mutate` changes. */
export const TARGETS: readonly Target[] = [
  ...registry("trust.ts", "trust"),
  ...registry("lock.ts", "trust", "cache", "packages"),
  ...registry("user_config.ts", "trust", "cache"),
  ...registry("closed.ts", "closed"),
  ...registry("run_bundle.ts", "closed"),
  ...registry("cache.ts", "cache"),
  ...registry("bundle_files.ts", "trust", "cache", "registry"),
  ...registry("manifest.ts", "registry"),
  ...registry("resolver.ts", ...REGISTRY),
  ...registry("packages.ts", "packages"),
  ...registry("package_spec.ts", "packages"),
  ...registry("registries.ts", "packages", "cache"),
  ...registry("semver.ts", "semver"),
  ...registry("sdk_range.ts", "sdk_range"),
  ...registry("signature.ts", "registry", "packages"),
  ...registry("tar.ts", "packages"),
  { file: "sdk/host/address.ts", tests: ["tests/registry/redirects_test.ts"] },
  {
    file: "sdk/host/guarded_fetch.ts",
    tests: ["tests/registry/redirects_test.ts", "tests/registry/registry_test.ts"],
  },
  { file: "sdk/cli/terminal.ts", tests: ["tests/cli/terminal_test.ts"] },
  ...room(
    "kernelize",
    ["prove/wiring", "match/select", "match/match", "prove/snapshot", "swap/apply"],
    "tests/kernelize",
  ),
  ...room("checkpoint", ["source/atomic", "safetensors/shard_index", "save/shards"], "tests/checkpoint"),
  ...[
    "concatenate",
    "interleave",
    "pad",
    "permute_for_rope",
    "reshape",
    "stack_list",
    "transpose",
    "region",
    "rule",
  ]
    .map((name) => ({
      file: `sdk/authoring/conversions/${name}.ts`,
      tests: ["tests/authoring", "tests/checkpoint"],
    })),
];

function registry(file: string, ...tests: string[]): Target[] {
  return [{ file: `sdk/registry/${file}`, tests: tests.map((t) => `tests/registry/${t}_test.ts`) }];
}

function room(name: string, files: readonly string[], tests: string): Target[] {
  return files.map((file) => ({ file: `sdk/${name}/${file}.ts`, tests: [tests] }));
}
