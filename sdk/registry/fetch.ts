export { fetchBytes, type FetchLimits, type FetchRequest, readBounded } from "../host/mod.ts";
