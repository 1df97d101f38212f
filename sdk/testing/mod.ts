/**
 * The harness for kernel authors: parity against the reference, odd shapes, conversions there and back, leaks.
 *
 * @module
 */
export {};
