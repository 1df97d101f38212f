/**
 * What the runtime has besides the web's own interfaces: files, the environment, the user's cache; and fetching
 * within bounds.
 *
 * @module
 */
export { openStorage } from "./async_scope.ts";
export { type Place, placeOf, placesOf, type Resolve } from "./address.ts";
export { boundedFetch, type BoundedResponse, FetchBoundError, isPlain, packedAs } from "./bounded_fetch.ts";
export { builtin } from "./host.ts";
export {
  type FileHandle,
  fileUrlOfPath,
  fs,
  hasFiles,
  isMissing,
  isWithin,
  joinFile,
  messageOf,
  pathOfFileUrl,
} from "./files.ts";
export { fetchBytes, fetchFile, type FetchLimits, type FetchRequest, readBounded } from "./guarded_fetch.ts";
export { userCacheFile, variable } from "./user_cache.ts";
export { forgetWinners, MOST_WINNERS, type Winner, Winners, type WinnersLocation } from "./winners.ts";
