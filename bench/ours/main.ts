/** The SDK as a contender: `eager` records each operator again, `captured` records a call once and replays it. */
import type { Prepare } from "../protocol.ts";
import { serve } from "../serve.ts";
import { prepareFacts } from "./facts.ts";
import { prepareModel } from "./model.ts";
import { prepareOps } from "./ops.ts";

const [mode = "eager"] = Deno.args;

const prepare: Prepare = async (work, params) => {
  if (work === "decode" || work === "prefill") return await prepareModel(mode, work, params);
  const facts = await prepareFacts(work, params);
  return facts ?? await prepareOps(mode, work, params);
};

await serve(prepare);
