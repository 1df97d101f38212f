/**
 * A mixture of experts that computes only the chosen ones: all experts in one tensor, one dispatch per projection.
 *
 * @module
 */
export { StackedExperts } from "./kernel.ts";
export { StackedExpertsLayout } from "./layout.ts";
