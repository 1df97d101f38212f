/** The SDK's version, as in deno.json. */
export const SDK_VERSION: string = "0.1.0";
