import { fileSource, openCheckpoint } from "../../sdk/checkpoint/mod.ts";
import { modelFolder, modelNames } from "../helpers/models.ts";

/** Whether the checkpoints are there. */
export const haveModels: boolean = modelNames().length > 0;

/** The name of a test group, which says why it is skipped where the checkpoints are missing. */
export function needsModels(name: string): { name: string; ignore: boolean } {
  return haveModels
    ? { name, ignore: false }
    : { name: `${name} (skipped: no checkpoints at ../shared/models)`, ignore: true };
}

/** A folder of a model. */
export function modelDir(name: string): string {
  return modelFolder(name)!;
}

/** An expected output stored as float32. */
export async function expectedTensor(model: string, file: string, key: string): Promise<Float32Array> {
  await using checkpoint = await openCheckpoint(
    await fileSource(`${modelDir(model)}/expected/${file}.safetensors`),
  );
  const { source, offset, bytes } = checkpoint.tensors.get(key)!;
  return new Float32Array((await source.read(offset, bytes)).slice().buffer);
}

/** An expected output stored as JSON. */
export async function expectedJson<T>(model: string, file: string): Promise<T> {
  return JSON.parse(await Deno.readTextFile(`${modelDir(model)}/expected/${file}.json`)) as T;
}
