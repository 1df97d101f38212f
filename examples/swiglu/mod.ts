/**
 * The middle of a SwiGLU block in one dispatch: only a forward is replaced, there is no layout.
 *
 * @module
 */
export { SwiGLU } from "./kernel.ts";
