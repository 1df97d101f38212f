/** Writes small ONNX models: the few fields of the format (a protocol buffer) that a chain of operators needs. */

/** One operator. */
export interface Node {
  /** Its type. */
  readonly op: string;
  /** Names of what it reads. */
  readonly inputs: readonly string[];
  /** The name of what it makes; several where an operator insists on them. */
  readonly output: string | readonly string[];
  /** Where its type comes from, if not from ONNX itself; `com.microsoft` is known. */
  readonly domain?: string;
  /** Attributes: numbers with a fraction, or `{ int }`. */
  readonly attributes?: Readonly<Record<string, number | { readonly int: number }>>;
}

/** An input, an output or a constant. */
export interface Value {
  /** Its name. */
  readonly name: string;
  /** Its shape. */
  readonly shape: readonly number[];
  /** A constant's numbers. */
  readonly data?:
    | Float32Array<ArrayBuffer>
    | Float16Array<ArrayBuffer>
    | Int32Array<ArrayBuffer>
    | BigInt64Array<ArrayBuffer>;
}

/** The bytes of a model with one input and one output of `dtype`. */
export function onnxModel(
  dtype: string,
  nodes: readonly Node[],
  constants: readonly Value[],
  input: Value,
  output: Value,
): Uint8Array<ArrayBuffer> {
  const element = dtype === "f16" ? 10 : 1;
  const graph = message(
    ...nodes.map((n) => field(1, nodeMessage(n))),
    field(2, text("bench")),
    ...constants.map((c) =>
      field(
        5,
        message(
          ...c.shape.map((d) => integer(1, d)),
          integer(2, c.data instanceof Int32Array ? 6 : c.data instanceof BigInt64Array ? 7 : element),
          field(8, text(c.name)),
          field(9, new Uint8Array(c.data!.buffer, c.data!.byteOffset, c.data!.byteLength)),
        ),
      )
    ),
    field(11, valueMessage(input, element)),
    field(12, valueMessage(output, element)),
  );
  const operators = [["", 17], ["com.microsoft", 1]] as const;
  return message(
    integer(1, 8),
    field(7, graph),
    ...operators.map(([domain, version]) => field(8, message(field(1, text(domain)), integer(2, version)))),
  );
}

// ---------------------------------------------------------------------------

type Bytes = Uint8Array<ArrayBuffer>;

function nodeMessage(n: Node): Bytes {
  const attributes = Object.entries(n.attributes ?? {}).map(([name, value]) => {
    if (typeof value === "object") {
      return field(5, message(field(1, text(name)), integer(3, value.int), integer(20, 2)));
    }
    const float = new Uint8Array(5);
    float[0] = 2 << 3 | 5;
    new DataView(float.buffer).setFloat32(1, value, true);
    return field(5, message(field(1, text(name)), float, integer(20, 1)));
  });
  return message(
    ...n.inputs.map((i) => field(1, text(i))),
    ...[n.output].flat().map((o) => field(2, text(o))),
    field(4, text(n.op)),
    ...attributes,
    ...(n.domain ? [field(7, text(n.domain))] : []),
  );
}

function valueMessage(v: Value, element: number): Bytes {
  const shape = message(...v.shape.map((d) => field(1, message(integer(1, d)))));
  const tensor = message(integer(1, element), field(2, shape));
  return message(field(1, text(v.name)), field(2, message(field(1, tensor))));
}

function message(...parts: Bytes[]): Bytes {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}

function field(number: number, content: Bytes): Bytes {
  return message(varint(number << 3 | 2), varint(content.length), content);
}

function integer(number: number, value: number): Bytes {
  return message(varint(number << 3), varint(value));
}

function varint(value: number): Bytes {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
  return Uint8Array.from([...bytes, value]);
}

function text(s: string): Bytes {
  return new TextEncoder().encode(s);
}
