export { fetchBytes, type FetchLimits, type FetchRequest, readBounded } from "../host/guarded_fetch.ts";
