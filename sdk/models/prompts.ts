import { raise } from "../errors.ts";
import type { CausalLMConfig } from "./config.ts";

/** Past its last position a model writes nonsense without a word. The last new token is never fed back. */
export function checkLength(config: CausalLMConfig, width: number, maxNewTokens: number): void {
  const most = positionsOf(config) + 1 - width;
  if (maxNewTokens <= most) return;
  raise(
    "KW-GENERATE-PROMPT",
    `Cannot generate ${maxNewTokens} tokens after a prompt of ${width}: this model knows ${
      positionsOf(config)
    } positions`,
    `Ask for at most ${most} (maxNewTokens).`,
  );
}

/** Raises KW-GENERATE-PROMPT for a prompt that is empty, too long, or has ids that the model does not have. */
export function checkPrompts(config: CausalLMConfig, prompts: readonly (readonly number[])[]): void {
  const { vocab_size } = config;
  const positions = positionsOf(config);
  if (!isList(prompts)) notIds("prompts are lists of ids, one list a row");
  Array.from(prompts).forEach((prompt, row) => {
    if (!isList(prompt)) notIds(`row ${row} is not a list of ids`);
    const bad = prompt.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= vocab_size);
    if (prompt.length === 0) {
      raise(
        "KW-GENERATE-PROMPT",
        `Cannot generate from an empty prompt (row ${row})`,
        "Begin with the bos token.",
      );
    }
    if (bad >= 0) {
      raise(
        "KW-GENERATE-PROMPT",
        `Cannot generate: id ${prompt[bad]} at position ${bad} of row ${row}`,
        `Ids of this model are 0 to ${vocab_size - 1}.`,
      );
    }
    if (prompt.length > positions) {
      raise(
        "KW-GENERATE-PROMPT",
        `Cannot generate: row ${row} has ${prompt.length} tokens`,
        `This model takes ${positions}.`,
      );
    }
  });
}

// ---------------------------------------------------------------------------

/** How many positions a model knows: no end where its frequencies follow the length. */
function positionsOf({ max_position_embeddings, rope }: CausalLMConfig): number {
  return rope?.scaling?.rope_type === "dynamic" ? Infinity : max_position_embeddings;
}

function isList(value: unknown): boolean {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

function notIds(what: string): never {
  raise("KW-GENERATE-PROMPT", `Cannot generate: ${what}`, "Give [[1, 15, 27]]: the ids of one row or more.");
}
