/**
 * Write GPU kernels as packages, and drop them into a real model without touching the model's code.
 *
 * Operators are exported by name and as {@linkcode ops}; where a conversion has the same name as an operator
 * (`cast`, `permute`, `transpose`), the plain name is the conversion.
 *
 * @module
 */
export * from "./sdk/errors.ts";
export * from "./sdk/tensor/mod.ts";
export * from "./sdk/gpu/mod.ts";
export * from "./sdk/ops/mod.ts";
/** Every operator by its name, also those whose plain name is a conversion's. */
export * as ops from "./sdk/ops/mod.ts";
export * from "./sdk/nn/mod.ts";
export * from "./sdk/authoring/mod.ts";
export { cast, permute, transpose } from "./sdk/authoring/mod.ts";
export * from "./sdk/kernelize/mod.ts";
