import type { GpuBuffer } from "../memory/buffer.ts";

/** A compiled pipeline; only which one it is matters. */
type Pipeline = object;
/** The bind groups of one dispatch. */
type Groups = readonly GPUBindGroup[];

/** Bind groups, and what they hold. */
interface Entry {
  readonly pipeline: Pipeline;
  readonly key: string;
  readonly groups: Groups;
  readonly buffers: readonly GpuBuffer[];
}

/** A model's run has a few hundred; where buffers come in ever new combinations, all are forgotten at this many. */
const MAX_BIND_GROUPS = 8192;

/** Bind groups by pipeline and buffers, until one of these is gone. */
export class BindGroupCache {
  readonly #byPipeline = new Map<Pipeline, Map<string, Entry>>();
  readonly #byBuffer = new Map<number, Set<Entry>>();
  #size = 0;

  /** How many dispatches' bind groups there are. */
  get size(): number {
    return this.#size;
  }

  /** The bind groups for buffers, so many bytes of each; made by `make` where they are new. */
  get(
    pipeline: Pipeline,
    buffers: readonly GpuBuffer[],
    sizes: readonly number[],
    make: () => Groups,
  ): Groups {
    let key = "";
    for (let i = 0; i < buffers.length; i++) key += `${buffers[i].id}:${sizes[i]},`;
    const known = this.#byPipeline.get(pipeline)?.get(key);
    if (known) return known.groups;
    if (this.#size >= MAX_BIND_GROUPS) this.clear();
    const entry: Entry = { pipeline, key, groups: make(), buffers: [...buffers] };
    entryOf(this.#byPipeline, pipeline, () => new Map<string, Entry>()).set(key, entry);
    for (const b of buffers) entryOf(this.#byBuffer, b.id, () => new Set<Entry>()).add(entry);
    this.#size++;
    return entry.groups;
  }

  /** Forgets those that hold a buffer, before it is destroyed. */
  forgetBuffer(b: GpuBuffer): void {
    for (const entry of this.#byBuffer.get(b.id) ?? []) this.#forget(entry);
  }

  /** Forgets those of a pipeline. */
  forgetPipeline(pipeline: Pipeline): void {
    for (const entry of this.#byPipeline.get(pipeline)?.values() ?? []) this.#forget(entry);
  }

  /** Forgets all. */
  clear(): void {
    this.#byPipeline.clear();
    this.#byBuffer.clear();
    this.#size = 0;
  }

  #forget(entry: Entry): void {
    const { pipeline, key, buffers } = entry;
    const ofPipeline = this.#byPipeline.get(pipeline)!;
    ofPipeline.delete(key);
    if (ofPipeline.size === 0) this.#byPipeline.delete(pipeline);
    for (const { id } of buffers) {
      const ofBuffer = this.#byBuffer.get(id);
      ofBuffer?.delete(entry);
      if (ofBuffer?.size === 0) this.#byBuffer.delete(id);
    }
    this.#size--;
  }
}

// ---------------------------------------------------------------------------

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, value = make());
  return value;
}
