import type { EncoderModel } from "../../sdk/models/mod.ts";
import { keep, scope, Tensor } from "../../sdk/tensor/mod.ts";
import { modelDir } from "./checkpoints.ts";

/** One of an encoder's expected inputs. */
export interface Input {
  readonly name: string;
  readonly input_ids: number[];
  readonly attention_mask: number[];
  readonly token_type_ids?: number[];
}

/** The hidden states of one text, `run` may look on. */
export async function hiddenOf(
  model: EncoderModel,
  { input_ids, attention_mask, token_type_ids }: Omit<Input, "name">,
  run: <T>(forward: () => T) => T = (forward) => forward(),
): Promise<number[]> {
  using out = keep(scope(() => {
    const row = (values: number[]) =>
      Tensor.from(Int32Array.from(values), { shape: [1, values.length], device: model.device });
    return run(() =>
      model.call(row(input_ids), {
        attention_mask: attention_mask.includes(0) ? row(attention_mask) : undefined,
        token_type_ids: token_type_ids && row(token_type_ids),
      })
    );
  }));
  return Array.from(await out.data());
}

/** How a folder differs from one of ../shared/models. */
export interface Changes {
  /** The name of a tensor; without one it goes. */
  readonly rename?: (key: string) => string | undefined;
  /** Tensors of f32 besides. */
  readonly extra?: readonly string[];
  /** How many numbers those have; defaults to 1. */
  readonly extraSize?: number;
  /** Keys of config.json. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** A new folder with a model's weights under other names. The caller removes it. */
export async function changedFolder(
  name: string,
  { rename, extra, extraSize, config }: Changes,
): Promise<string> {
  const bytes = await Deno.readFile(`${modelDir(name)}/model.safetensors`);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const old = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const header: Record<string, unknown> = { __metadata__: old.__metadata__ ?? {} };
  const parts: Uint8Array[] = [];
  let at = 0;
  const put = (key: string, dtype: string, shape: number[], data: Uint8Array) => {
    header[key] = { dtype, shape, data_offsets: [at, at + data.length] };
    parts.push(data);
    at += data.length;
  };
  for (
    const [key, entry] of Object.entries<{ dtype: string; shape: number[]; data_offsets: number[] }>(old)
  ) {
    const to = key === "__metadata__" ? undefined : rename ? rename(key) : key;
    if (to === undefined) continue;
    const [from, end] = entry.data_offsets;
    put(to, entry.dtype, entry.shape, bytes.subarray(8 + length + from, 8 + length + end));
  }
  const numbers = Float32Array.from({ length: extraSize ?? 1 }, (_, i) => i + 0.5);
  for (const key of extra ?? []) put(key, "F32", [numbers.length], new Uint8Array(numbers.buffer));
  let text = JSON.stringify(header);
  text += " ".repeat((8 - text.length % 8) % 8);
  const head = new Uint8Array(8);
  new DataView(head.buffer).setBigUint64(0, BigInt(text.length), true);
  const dir = await Deno.makeTempDir();
  const json = JSON.parse(await Deno.readTextFile(`${modelDir(name)}/config.json`));
  await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify({ ...json, ...config }));
  const all = new Blob([head, text, ...parts.map((p) => p.slice())]);
  await Deno.writeFile(`${dir}/model.safetensors`, new Uint8Array(await all.arrayBuffer()));
  return dir;
}
