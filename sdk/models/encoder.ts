import { checkArgument } from "../arguments.ts";
import { raise } from "../errors.ts";
import { FLOATS } from "../ops/mod.ts";
import { type DType, Tensor } from "../tensor/mod.ts";
import type { PretrainedConfig } from "./config.ts";
import { PretrainedModel } from "./pretrained_model.ts";

/** What the config of every encoder has, whatever the file calls it. */
export interface EncoderConfig extends PretrainedConfig {
  /** The longest text that the model was made for. */
  readonly max_position_embeddings: number;
  /** The residual stream's width. */
  readonly hidden_size: number;
  /** Token ids. */
  readonly vocab_size: number;
  /** The id of padding. */
  readonly pad_token_id: number;
  /** Parts that a text may have; undefined where the model does not tell them apart. */
  readonly type_vocab_size?: number;
}

/** What an encoder's forward takes besides ids. */
export interface EncoderInputs {
  /** i32 or u32 `[batch, tokens]`: 0 where a token is padding, which no other token sees. Defaults to no padding. */
  readonly attention_mask?: Tensor;
  /** i32 or u32 `[batch, tokens]`: which part of a pair a token is of, where the model tells them apart. Defaults to 0. */
  readonly token_type_ids?: Tensor;
}

/** What every layer of one run of an encoder shares. */
export interface EncoderContext {
  /** i32 `[1]`: 0, where the run begins. */
  readonly position: Tensor;
  /** i32 or u32 `[batch, tokens]`: 0 where a token is padding. */
  readonly mask?: Tensor;
}

/**
 * A model that gives a vector for each token, which sees those before and after it. A family's class says how.
 *
 * See the example of {@linkcode AutoModel}.
 */
export abstract class EncoderModel extends PretrainedModel {
  /** The checked config.json. */
  abstract override readonly config: EncoderConfig;

  /** Checked ids `[batch, tokens]` → hidden states `[batch, tokens, hidden_size]`. */
  protected abstract encode(input_ids: Tensor, inputs: EncoderInputs, context: EncoderContext): Tensor;

  /**
   * Ids i32 or u32 `[batch, tokens]` → the last hidden states `[batch, tokens, hidden_size]`. Those of padding mean
   * nothing.
   *
   * @throws KW-TENSOR-SHAPE for other than two dimensions, a mask of another shape, or more tokens than there are positions;
   * KW-ARGUMENT for token_type_ids where the model has none.
   */
  override forward(input_ids: Tensor, inputs: EncoderInputs = {}): Tensor {
    checkArgument("EncoderModel.forward(): inputs", inputs, "an object");
    const refuse = (what: string, fix: string) =>
      raise("KW-TENSOR-SHAPE", `Cannot run the model on ${what}`, fix);
    const { shape, device } = input_ids;
    const [, tokens] = shape;
    if (shape.length !== 2) refuse(`ids of shape [${shape.join(", ")}]`, "Give [batch, tokens].");
    const most = this.config.max_position_embeddings;
    if (tokens > most) refuse(`${tokens} tokens`, `This model has ${most} positions; cut the text.`);
    for (const name of ["attention_mask", "token_type_ids"] as const) {
      const given = inputs[name]?.shape;
      if (given && given.join() !== shape.join()) {
        refuse(`${name} of shape [${given.join(", ")}]`, `Give [${shape.join(", ")}], as the ids have.`);
      }
    }
    if (inputs.token_type_ids && this.config.type_vocab_size === undefined) {
      raise(
        "KW-ARGUMENT",
        `Cannot run the model with token_type_ids: ${this.config.model_type} does not tell parts of a text apart`,
        "Leave them out.",
      );
    }
    const position = Tensor.zeros([1], { dtype: "i32", device });
    return this.encode(input_ids, inputs, { position, mask: inputs.attention_mask });
  }

  /** The dtype of the first weights that are numbers as they are: a kernel's may be packed. */
  override get dtype(): DType {
    return [...this.stateDict().values()].find((p) => FLOATS.includes(p.dtype))?.dtype ?? "f32";
  }

  /** What forward takes, for the trace: without padding and with a mask. */
  override exampleInputs(): unknown[][] {
    const ids = Tensor.empty([1, 4], { dtype: "i32", device: "meta" });
    return [[ids], [ids, { attention_mask: Tensor.empty([1, 4], { dtype: "i32", device: "meta" }) }]];
  }

  /** With a mask and without: attention has a shader for each. */
  override rehearse(tokens: number, device: "meta" | "webgpu"): Tensor {
    const ids = () =>
      device === "meta"
        ? Tensor.empty([1, tokens], { dtype: "i32", device })
        : Tensor.zeros([1, tokens], { dtype: "i32" });
    const run = (inputs: EncoderInputs) => (this as EncoderModel).call(ids(), inputs);
    run({});
    return run({ attention_mask: ids() });
  }
}
