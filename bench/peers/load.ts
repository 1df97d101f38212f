/**
 * Imports a library by a name that only this folder's deno.json knows. Its types are not looked at, so that
 * checking the repository fetches nothing.
 */
// deno-lint-ignore no-explicit-any
export async function load(name: string): Promise<any> {
  return await import(name);
}
