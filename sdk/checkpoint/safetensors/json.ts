/**
 * A JSON reader that keeps what `JSON.parse` throws away: where each value stands, and that a key came twice.
 *
 * It reads bytes, so that positions are those of the file.
 */

/** A value and where it begins. */
export type JsonNode =
  & { /** The first byte. */ readonly at: number }
  & (
    | { readonly kind: "object"; readonly entries: ReadonlyMap<string, JsonNode> }
    | { readonly kind: "array"; readonly items: readonly JsonNode[] }
    | { readonly kind: "string"; readonly value: string }
    | { readonly kind: "number"; readonly text: string }
    | { readonly kind: "literal"; readonly value: boolean | null }
  );

/** Told what is wrong and at which byte; must throw. */
export type JsonFailure = (what: string, at: number, key?: string) => never;

/** Nothing that this SDK reads is deeper; the limit keeps a hostile file from exhausting the stack. */
const MAX_DEPTH = 64;

/** Reads one JSON value; whitespace may surround it, and nothing else. */
export function parseJson(bytes: Uint8Array, fail: JsonFailure): JsonNode {
  return new Parser(bytes, fail).whole();
}

/** The node as the plain value that `JSON.parse` would give. */
export function plainJson(node: JsonNode): unknown {
  switch (node.kind) {
    case "object":
      return Object.fromEntries([...node.entries].map(([k, v]) => [k, plainJson(v)]));
    case "array":
      return node.items.map(plainJson);
    case "number":
      return Number(node.text);
    default:
      return node.value;
  }
}

// ---------------------------------------------------------------------------

/** The largest published models have some 120,000 tensors; each costs time and memory. */
const MOST_ENTRIES = 400_000;
const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const latin1 = new TextDecoder("latin1"); // a byte is a character: what is not ASCII is not a value anyway
const LITERALS = { true: true, false: false, null: null } as const;

class Parser {
  readonly #bytes: Uint8Array;
  readonly #fail: JsonFailure;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #at = 0;

  constructor(bytes: Uint8Array, fail: JsonFailure) {
    [this.#bytes, this.#fail] = [bytes, fail];
  }

  whole(): JsonNode {
    const node = this.#value(0);
    this.#space();
    if (this.#at < this.#bytes.length) this.#wrong("something follows the JSON value");
    return node;
  }

  #value(depth: number): JsonNode {
    this.#space();
    const at = this.#at;
    if (depth > MAX_DEPTH) this.#wrong(`it is nested more than ${MAX_DEPTH} deep`);
    switch (this.#peek()) {
      case "{":
        return { at, kind: "object", entries: this.#object(depth) };
      case "[":
        return { at, kind: "array", items: this.#array(depth) };
      case '"':
        return { at, kind: "string", value: this.#string() };
      default:
        return this.#scalar(at);
    }
  }

  #object(depth: number): Map<string, JsonNode> {
    const entries = new Map<string, JsonNode>();
    this.#list("}", () => {
      if (this.#peek() !== '"') this.#wrong("a key must be a string");
      const at = this.#at;
      if (entries.size >= MOST_ENTRIES) this.#wrong(`an object has more than ${MOST_ENTRIES} entries`);
      const key = this.#string();
      if (entries.has(key)) this.#fail("the key comes twice", at, key);
      this.#space();
      if (this.#peek() !== ":") this.#wrong("a colon must follow the key");
      this.#at++;
      entries.set(key, this.#value(depth + 1));
    });
    return entries;
  }

  #array(depth: number): JsonNode[] {
    const items: JsonNode[] = [];
    this.#list("]", () => items.push(this.#value(depth + 1)));
    return items;
  }

  #list(end: string, item: () => void): void {
    this.#at++;
    this.#space();
    if (this.#peek() === end) return void this.#at++;
    while (true) {
      this.#space();
      item();
      this.#space();
      const next = this.#peek();
      if (next !== "," && next !== end) this.#wrong(`"," or "${end}" must follow`);
      this.#at++;
      if (next === end) return;
    }
  }

  #string(): string {
    const start = this.#at++;
    let plain = true;
    for (;; this.#at++) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) this.#wrong("a string does not end");
      if (byte === QUOTE) break;
      if (byte < 0x20) this.#wrong("a string holds a control character");
      if (byte === BACKSLASH) [plain, this.#at] = [false, this.#at + 1];
    }
    const end = ++this.#at;
    try {
      const text = this.#decoder.decode(this.#bytes.subarray(start, end));
      return plain ? text.slice(1, -1) : JSON.parse(text);
    } catch {
      return this.#fail("a string is not valid UTF-8 or has a wrong escape", start);
    }
  }

  #scalar(at: number): JsonNode {
    let end = at;
    // Nothing that means anything is longer than 400 bytes.
    const limit = Math.min(this.#bytes.length, at + 400);
    while (end < limit && !/[\s,:[\]{}"]/.test(String.fromCharCode(this.#bytes[end]))) end++;
    const text = latin1.decode(this.#bytes.subarray(at, end));
    this.#at = end;
    if (Object.hasOwn(LITERALS, text)) {
      return { at, kind: "literal", value: LITERALS[text as keyof typeof LITERALS] };
    }
    NUMBER.lastIndex = 0;
    if (text !== "" && end - at < 400 && NUMBER.exec(text)?.[0].length === text.length) {
      return { at, kind: "number", text };
    }
    return this.#fail(
      text === "" ? "a value is missing" : `${JSON.stringify(text.slice(0, 40))} is not a value`,
      at,
    );
  }

  #space(): void {
    for (;; this.#at++) {
      const byte = this.#bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
    }
  }

  #peek(): string {
    const byte = this.#bytes[this.#at];
    return byte === undefined ? "" : String.fromCharCode(byte);
  }

  #wrong(what: string): never {
    this.#fail(what, Math.min(this.#at, this.#bytes.length));
  }
}
