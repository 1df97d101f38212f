export * from "./conversions/mod.ts";
export * from "./kernel_decorator.ts";
export * from "./layout.ts";
export * from "./layout_decorator.ts";
export * from "./requirements.ts";
export * from "./signature_mismatch.ts";
export * from "./site.ts";
