import { Module } from "../nn/mod.ts";
import { type DeviceName, type DType, Tensor } from "../tensor/mod.ts";
import type { PretrainedConfig } from "./config.ts";
import { makeReady, type ReadyOptions } from "./ready.ts";

/**
 * What every pretrained model has, with or without a cache and a head: it can be loaded, made ready and saved.
 *
 * No example: it is abstract. {@linkcode AutoModel} and {@linkcode AutoModelForCausalLM} load what extends it.
 */
export abstract class PretrainedModel extends Module {
  /** The checked config.json. */
  abstract readonly config: PretrainedConfig;

  /** The dtype of the weights, and of the arithmetic's results. */
  abstract get dtype(): DType;

  /** Where the weights are: `meta` before they are loaded. */
  get device(): DeviceName {
    for (const [, { device }] of this.namedParameters()) if (device !== "meta") return device;
    return "meta";
  }

  /** What forward takes, for the trace. */
  abstract exampleInputs(): unknown[][];

  /**
   * Runs forward as it will be run, so that its pipelines are known: on meta in all the ways that need other shaders,
   * on a device once. Ids i32 `[1, tokens]` unless a model says otherwise.
   *
   * @returns What came out.
   */
  rehearse(tokens: number, device: "meta" | "webgpu"): Tensor {
    const ids = device === "meta"
      ? Tensor.empty([1, tokens], { dtype: "i32", device })
      : Tensor.zeros([1, tokens], { dtype: "i32" });
    return (this as Module).call(ids) as Tensor;
  }

  /**
   * Compiles every shader that the model will need, its kernels' too, so that the next run is a normal one. It may
   * be called while the weights are still being loaded; what has been compiled before costs nothing.
   *
   * @throws KW-SHADER-COMPILE
   */
  ready(options: ReadyOptions = {}): Promise<void> {
    return makeReady(this, options);
  }
}
