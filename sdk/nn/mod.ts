/**
 * The modules that models are built from.
 *
 * @module
 */
export * from "./activations.ts";
export * from "./attention.ts";
export * from "./conv.ts";
export * from "./embedding.ts";
export * from "./function_module.ts";
export * from "./identity.ts";
export * from "./kv_cache.ts";
export * from "./layer.ts";
export * from "./linear.ts";
export * from "./mlp.ts";
export * from "./module.ts";
export * from "./module_list.ts";
export * from "./norms.ts";
export * from "./observe.ts";
export * from "./rope.ts";
