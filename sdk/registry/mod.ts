/**
 * Kernels from elsewhere: references, bundles, the lock, digests and trust.
 *
 * @module
 */
export { type Bundle, readBundle, readManifest, type Source } from "./bundle_files.ts";
export { defaultCacheFolder, FileCache } from "./cache.ts";
export { sha256 } from "./digest.ts";
export { fetchBytes, type FetchLimits } from "./fetch.ts";
export { type Lock, type LockEntry, readLock, sameEntry, writeLock } from "./lock.ts";
export {
  type Manifest,
  MANIFEST_FILE,
  type ManifestConversion,
  type ManifestKernel,
  type ManifestParameter,
  parseManifest,
} from "./manifest.ts";
export { bundleUrl, inspectReference, kernelResolver, type ResolverOptions } from "./resolver.ts";
export type { Trust } from "./trust.ts";
export { userTrust } from "./user_config.ts";
