/**
 * The hand-written half of docs/errors.md: for each code what typically causes it, and what to do.
 *
 * A new code gets its lines in kernel.ts or model.ts; then `deno run -A tools/errors_doc.ts` writes the page.
 *
 * @module
 */
import type { ErrorCode } from "../../sdk/error_codes.ts";
import { KERNEL_ADVICE } from "./kernel.ts";
import { MODEL_ADVICE } from "./model.ts";

/** What typically causes an error, and what to do about it. */
export type Advice = readonly [cause: string, remedy: string];

/** Advice by code. A test wants all codes; a type would stop whoever is in the middle of adding one. */
export const ADVICE: Partial<Record<ErrorCode, Advice>> = { ...MODEL_ADVICE, ...KERNEL_ADVICE };
