export { fetchBytes, type FetchLimits, type FetchRequest, readBounded } from "../guarded_fetch.ts";
