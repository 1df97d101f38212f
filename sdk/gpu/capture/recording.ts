/**
 * What a plan is made of: everything that the stream was told during one run, and the values that the run made.
 */
import type { Tensor } from "../../tensor/mod.ts";
import { Arena } from "../memory/arena.ts";
import { GpuStorage } from "../device/backend.ts";
import type { OpenedGpu } from "../device.ts";
import type { Proof } from "../memory/faults.ts";
import type { Flow } from "../memory/ledger.ts";
import { type Lifetime, packLifetimes, type Slot } from "./lifetimes.ts";
import type { GpuBuffer } from "../memory/buffer.ts";
import { mayWrite } from "../shader/written.ts";
import type { PreparedDispatch, PreparedRun, RecordedDispatch, StreamRecorder } from "../stream/stream.ts";

/** A part of a replay: dispatches, or a copy. */
export type Step =
  | PreparedRun
  | {
    readonly source: GpuBuffer;
    readonly from: number;
    readonly target: GpuBuffer;
    readonly to: number;
    readonly bytes: number;
    /** Whether the target's content begins here. */
    readonly fresh: boolean;
  };

/** Notes a run down. */
export class Recording implements StreamRecorder {
  /** The buffers that the run makes. */
  readonly arena: Arena = new Arena();
  /** What a replay repeats on the host. */
  readonly effects: (() => void)[] = [];
  /** Must all hold for the plan to be replayed. */
  readonly conditions: (() => boolean)[] = [];
  /** The results that the run made itself. */
  readonly made: Set<Tensor> = new Set();
  readonly #noted: Noted[] = [];
  readonly #values: Value[] = [];
  readonly #current = new Map<GpuBuffer, Value>();

  /** Notes a dispatch. */
  dispatch(d: RecordedDispatch): void {
    const { uniformBytes } = d.variant.reflection;
    const values = d.buffers.map((b) => this.#value(b));
    this.#noted.push({ ...d, values, packed: d.packed.slice(0, uniformBytes / 4) });
  }

  /** Notes a copy. */
  copy(source: GpuBuffer, from: number, target: GpuBuffer, to: number, bytes: number): void {
    this.#noted.push({ source: this.#value(source), from, target: this.#value(target), to, bytes });
  }

  /** Notes what the host wrote. */
  write(target: GpuBuffer, data: Uint8Array<ArrayBuffer>, to: number): void {
    this.#noted.push({ target: this.#value(target), to, data: data.slice() });
  }

  /** Buffers that are not the plan's: weights, caches, inputs. */
  outside(): { buffer: GpuBuffer; owner: number }[] {
    return this.#values.filter((v) => !v.inside);
  }

  /** Whether the pipelines of the run compile. */
  proofs(): Set<Proof> {
    return new Set(this.#noted.flatMap((n) => "values" in n ? [n.compiled.proof] : []));
  }

  /** Whether a tensor lies in the plan's memory. */
  holds(t: Tensor): boolean {
    if (t.released) return false;
    const { storage } = t;
    return storage instanceof GpuStorage && storage.buffer.arena === this.arena;
  }

  /** Buffers that the run writes into. */
  written(): Set<GpuBuffer> {
    const all = new Set<GpuBuffer>();
    for (const n of this.#noted) {
      if (!("values" in n)) all.add(n.target.buffer);
      else n.variant.reflection.storage.forEach((s, i) => s.writes && all.add(n.values[i].buffer));
    }
    return all;
  }

  /** Of those that are not the plan's, the ones that it changes: what a body only reads is not. */
  changed(): Map<GpuBuffer, string> {
    const all = new Map<GpuBuffer, string>();
    const note = ({ inside, buffer }: Value, by: string) => inside || all.set(buffer, by);
    for (const n of this.#noted) {
      if (!("values" in n)) note(n.target, "source" in n ? "a copy" : "a write");
      else {
        n.variant.reflection.storage.forEach(({ writes, name }, i) => {
          if (writes && mayWrite(n.variant, name)) note(n.values[i], `${n.variant.shader.name} as "${name}"`);
        });
      }
    }
    return all;
  }

  /** The recording is over: moves values that no tensor holds together, each in memory while it is needed. */
  pack(gpu: OpenedGpu): void {
    const spare = this.arena.seal();
    const fixed: Slot<Value>[] = [];
    const loose: Value[] = [];
    const results = new Set([...this.made].map((t) => (t.storage as GpuStorage).buffer));
    for (const v of this.#values) {
      if (!v.inside) continue;
      // A tensor that is still there keeps its buffer. Of a result, all is new in each replay, so that values may lie
      // there before; of another, what the run does not write must stay.
      const held = v.buffer.arena === this.arena && this.#current.get(v.buffer) === v;
      if (held) {
        fixed.push({
          bytes: v.bytes,
          values: [{ ...v, first: results.has(v.buffer) ? v.first : -Infinity, last: Infinity }],
        });
      } else loose.push(v);
    }
    for (const b of spare) gpu.pool.release(b);
    for (const { bytes, values } of packLifetimes(loose, fixed)) {
      const [first] = values;
      const buffer = first.last === Infinity ? first.buffer : gpu.pool.acquire(bytes);
      this.arena.own(buffer);
      for (const v of values) v.buffer = buffer;
    }
  }

  /** Fixes uniforms and host writes in memory of the plan's, and makes the bind groups. */
  prepare(gpu: OpenedGpu): { steps: Step[]; uniforms: GPUBuffer | undefined } {
    const align = Math.max(16, gpu.limits.minUniformBufferOffsetAlignment);
    const packed: { data: Uint32Array; at: number }[] = [];
    const places = new Map<string, number>(); // layers are alike: so are their uniforms
    let size = 0;
    const place = (data: Uint32Array) => {
      const key = data.join();
      const known = places.get(key);
      if (known !== undefined) return known;
      const at = size;
      places.set(key, at);
      packed.push({ data, at });
      size = Math.ceil((at + data.byteLength) / align) * align;
      return at;
    };
    const offsets = this.#noted.map((n) =>
      "values" in n
        ? n.groups.map((_, g) =>
          n.variant.reflection.uniforms.filter((u) => u.group === g)
            .map((u) => place(n.packed.subarray(u.at / 4, (u.at + u.bytes) / 4)))
        )
        : []
    );
    const uniforms = size === 0 ? undefined : uniformBuffer(gpu, size, packed);
    const steps: (Step | Run)[] = [];
    let run: Run | undefined;
    // What the run makes is made again by each replay: what spoilt it in the last one no longer matters.
    const begins = (v: Value, i: number) => v.inside && v.first === i;
    this.#noted.forEach((n, i) => {
      if (!("values" in n)) {
        run = undefined;
        const fresh = begins(n.target, i);
        steps.push(
          "source" in n
            ? { ...n, source: n.source.buffer, target: n.target.buffer, fresh }
            : { ...this.#constant(gpu, n.target.buffer, n.to, n.data), fresh },
        );
        return;
      }
      if (!run) steps.push(run = { run: [], flow: [], buffers: new Set(), written: new Set() });
      const buffers = n.values.map((v) => v.buffer);
      for (const v of n.values) {
        if (begins(v, i)) run.flow.push({ fresh: v.buffer });
      }
      run.flow.push({ buffers, compiled: n.compiled });
      buffers.forEach((b, k) => {
        run!.buffers.add(b);
        if (n.compiled.writes[k]) run!.written.add(b);
      });
      const groups = gpu.pipelines.makeBindGroups(n.compiled, n.variant, buffers, n.sizes, uniforms);
      const [x, y, z] = n.workgroups;
      run.run.push({ pipeline: n.compiled.pipeline, groups, offsets: offsets[i], x, y, z });
    });
    return {
      steps: steps.map((s) => "run" in s ? { ...s, buffers: [...s.buffers], written: [...s.written] } : s),
      uniforms,
    };
  }

  /** The value that lies in a buffer now: another than before, if the buffer was handed out again since. */
  #value(b: GpuBuffer): Value {
    const at = this.#noted.length;
    const known = this.#current.get(b);
    if (known?.owner === b.owner) {
      known.last = at;
      return known;
    }
    const inside = b.arena === this.arena;
    const value: Value = { buffer: b, owner: b.owner, inside, bytes: b.size, first: at, last: at };
    this.#current.set(b, value);
    this.#values.push(value);
    return value;
  }

  /** What the host wrote once is copied from memory of the plan's: its target may have been used again since. */
  #constant(gpu: OpenedGpu, target: GpuBuffer, to: number, data: Uint8Array<ArrayBuffer>) {
    const source = gpu.pool.acquire(data.length);
    this.arena.own(source);
    gpu.stream.write(source, data);
    return { source, from: 0, target, to, bytes: Math.ceil(data.length / 4) * 4 };
  }
}

// ---------------------------------------------------------------------------

/** A buffer's content, from its first use by the run to its last. */
interface Value extends Lifetime {
  last: number;
  /** Where it lies; for a value of the plan's, where it lay while recording until it is packed. */
  buffer: GpuBuffer;
  readonly owner: number;
  /** Whether it is the plan's: made by the run, not there before. */
  readonly inside: boolean;
}

/** A {@linkcode PreparedRun} while it is put together. */
interface Run {
  readonly run: PreparedDispatch[];
  readonly flow: Flow[];
  readonly buffers: Set<GpuBuffer>;
  readonly written: Set<GpuBuffer>;
}

type Noted =
  | (RecordedDispatch & { readonly values: readonly Value[] })
  | {
    readonly source: Value;
    readonly from: number;
    readonly target: Value;
    readonly to: number;
    readonly bytes: number;
  }
  | { readonly target: Value; readonly to: number; readonly data: Uint8Array<ArrayBuffer> };

function uniformBuffer(
  gpu: OpenedGpu,
  size: number,
  packed: readonly { data: Uint32Array; at: number }[],
): GPUBuffer {
  const bytes = Math.ceil(size / 4) * 4;
  const asked = () => `${bytes} bytes for the uniforms of a captured plan`;
  // Written, not mapped: on a device that is lost, mapping throws before anybody knows why.
  return gpu.faults.allocation(() => {
    const usage = 0x40 | 0x08; // UNIFORM | COPY_DST
    const buffer = gpu.faults.orMemory(asked, () => gpu.device.createBuffer({ size: bytes, usage }));
    const words = new Uint32Array(bytes / 4);
    for (const { data, at } of packed) words.set(data, at / 4);
    gpu.device.queue.writeBuffer(buffer, 0, words);
    return buffer;
  }, asked).result;
}
