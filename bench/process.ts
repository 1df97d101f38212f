import { fromFileUrl } from "@std/path";
import type { Answer, Params, Question } from "./protocol.ts";
import { lines } from "./serve.ts";

/** How a contender is started. */
export interface Program {
  /** Its column in the tables. */
  readonly name: string;
  /** The file, seen from this folder. */
  readonly file: string;
  /** Arguments. */
  readonly args?: readonly string[];
  /** A deno.json of its own, seen from this folder. */
  readonly config?: string;
  /** Environment variables. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The longest that one question may take: a cold library compiles many shaders. */
const PATIENCE_MS = 240_000;

/** A contender that is running. */
export class Contender {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #lines: AsyncGenerator<string>;
  readonly #last: string[] = [];

  /** Starts it. */
  constructor(readonly program: Program) {
    const { file, args = [], config, env } = program;
    const here = (path: string) => fromFileUrl(new URL(path, import.meta.url));
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", ...(config ? ["--config", here(config)] : []), here(file), ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      env: { ...env },
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#lines = lines(this.#child.stdout);
    this.#keepLast(this.#child.stderr);
  }

  async #keepLast(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const line of lines(stream)) {
      this.#last.push(line);
      if (this.#last.length > 3) this.#last.shift();
    }
  }

  /** Asks, and waits for the answer. A process that has ended or says nothing for too long cannot do the case. */
  async ask(question: Question): Promise<Answer> {
    const gone = (): Answer => ({ cannot: `the process ended: ${this.#last.join(" ").slice(0, 200)}` });
    try {
      await this.#writer.write(new TextEncoder().encode(JSON.stringify(question) + "\n"));
    } catch {
      return gone();
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<"late">((resolve) => timer = setTimeout(() => resolve("late"), PATIENCE_MS));
    const said = await Promise.race([this.#lines.next(), late]);
    clearTimeout(timer);
    if (said === "late") {
      this.#child.kill();
      return { cannot: `no answer in ${PATIENCE_MS / 1000} s` };
    }
    return said.done ? gone() : JSON.parse(said.value);
  }

  /** Makes a case ready; tells why not. */
  async prepare(work: string, params: Params): Promise<string | undefined> {
    const said = await this.ask({ ask: "prepare", work, params });
    return "cannot" in said ? said.cannot : undefined;
  }

  /** Ends the process. */
  async end(): Promise<void> {
    await this.#writer.close().catch(() => {});
    const timer = setTimeout(() => this.#child.kill(), 5000);
    await this.#child.status;
    clearTimeout(timer);
  }
}
