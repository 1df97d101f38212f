import { Contender } from "./process.ts";
import { EAGER } from "./programs.ts";
import type { Params } from "./protocol.ts";

/** Has a fresh process measure something by itself. */
export async function factsOf(
  work: string,
  params: Params,
): Promise<Readonly<Record<string, number | string>>> {
  const contender = new Contender(EAGER);
  try {
    const said = await contender.ask({ ask: "prepare", work, params });
    if ("facts" in said) return said.facts;
    return { failed: "cannot" in said ? said.cannot : "no facts" };
  } finally {
    await contender.end();
  }
}
