/** A contender's side of the conversation. */
import type { Answer, Prepare, Prepared, Question } from "./protocol.ts";

/** Answers the bench's questions until it closes stdin. */
export async function serve(prepare: Prepare): Promise<void> {
  // Libraries print banners; stdout belongs to the conversation.
  console.log =
    console.info =
    console.warn =
    console.debug =
      console.error;
  let prepared: Prepared | undefined;
  const answer = async (q: Question): Promise<Answer> => {
    if (q.ask === "prepare") {
      prepared?.drop?.();
      const made = await prepare(q.work, q.params);
      if (!("call" in made)) return made;
      prepared = made;
      await prepared.call(); // the driver compiles
      await prepared.wait();
      return { ok: true };
    }
    if (q.ask === "drop") {
      prepared?.drop?.();
      prepared = undefined;
      return { ok: true };
    }
    if (!prepared) return { cannot: "nothing was prepared" };
    if (q.ask === "values") return { values: Array.from(await prepared.values(q.at)) };
    prepared.rewind?.();
    await prepared.wait();
    const start = performance.now();
    for (let i = 0; i < q.calls; i++) {
      const promise = prepared.call();
      if (promise) await promise;
    }
    await prepared.wait();
    return { ms: performance.now() - start };
  };
  for await (const line of lines(Deno.stdin.readable)) {
    const said = await answer(JSON.parse(line)).catch((e): Answer => ({ cannot: firstLine(e) }));
    await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(said) + "\n"));
  }
  Deno.exit(0); // some libraries keep timers
}

/** The lines of a stream of bytes. */
export async function* lines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
}

function firstLine(e: unknown): string {
  return (e instanceof Error ? e.message : String(e)).split("\n").slice(0, 3).join(" ").slice(0, 300);
}
