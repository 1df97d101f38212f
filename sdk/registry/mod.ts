/**
 * Kernels from elsewhere: references, bundles, the lock, digests and trust.
 *
 * @module
 */
export {
  type Bundle,
  type Origin,
  readBundle,
  readManifest,
  type Source,
  urlOrigin,
} from "./bundle_files.ts";
export { defaultCacheFolder, FileCache } from "./cache.ts";
export { checkClosed, describeReach, type Reach, reachesOutside, SDK_ENTRIES } from "./closed.ts";
export { sha256 } from "./digest.ts";
export type { Resolve } from "../host/mod.ts";
export { fetchBytes, type FetchLimits, type FetchRequest } from "./fetch.ts";
export { type Lock, type LockEntry, readLock, sameEntry, writeLock } from "./lock.ts";
export {
  type Manifest,
  MANIFEST_FILE,
  type ManifestConversion,
  type ManifestKernel,
  type ManifestParameter,
  parseManifest,
} from "./manifest.ts";
export type { Registries } from "./registries.ts";
export { inspectReference, isElsewhere, kernelResolver, lockKey, type ResolverOptions } from "./resolver.ts";
export type { Trust } from "./trust.ts";
export { isTrustedByUser, type UserSettings, userSettings } from "./user_config.ts";
