import { assert, assertEquals, assertLess } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytesSource, readHeader } from "../../sdk/checkpoint/mod.ts";
import { fileOf, messageOf } from "./files.ts";

const DAMAGED = "The file is damaged, or was not written by a safetensors library.";
const GAPS = "Tensors must follow each other without gaps; the file is damaged, or hides something.";
const AGAIN = "It was not written or downloaded to its end: get it again.";

const OK = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
const tensor = (dtype: string, shape: string, offsets: string) =>
  `{"a":{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}}}`;

/** Each file with the whole message that a reader sees. */
const CASES: Record<string, [file: Uint8Array, message: string]> = {
  "an empty file": [
    new Uint8Array(0),
    `KW-CHECKPOINT-TRUNCATED  x.safetensors byte 0
  The file ends at byte 0, and a safetensors file begins with 8 bytes of header length
  ${AGAIN}`,
  ],
  "a header length beyond the file": [
    fileOf(OK, 8, 1000n),
    `KW-CHECKPOINT-TRUNCATED  x.safetensors byte 70
  The file ends at byte 70, and its header would end at byte 1008
  ${AGAIN}`,
  ],
  "an absurd header length": [
    fileOf(OK, 8, 2n ** 63n),
    `KW-CHECKPOINT-HEADER  x.safetensors byte 0
  The header's length is given as 9223372036854775808 bytes, and it must be from 2 to 100000000
  This is not a safetensors file, or its beginning was overwritten.`,
  ],
  "a header that is not JSON": [
    fileOf('{"a":'),
    `KW-CHECKPOINT-HEADER  x.safetensors byte 13
  The header is not usable JSON: a value is missing
  ${DAMAGED}`,
  ],
  "a header that is no UTF-8": [
    fileOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)),
    `KW-CHECKPOINT-HEADER  x.safetensors byte 9
  The header is not usable JSON: a string is not valid UTF-8 or has a wrong escape
  ${DAMAGED}`,
  ],
  "something after the JSON": [
    fileOf(`${OK}x`, 8),
    `KW-CHECKPOINT-HEADER  x.safetensors byte 62
  The header is not usable JSON: something follows the JSON value
  ${DAMAGED}`,
  ],
  "a header that is no object": [
    fileOf("[1]"),
    `KW-CHECKPOINT-HEADER  x.safetensors byte 8
  The header must be a JSON object and begin with {
  ${DAMAGED}`,
  ],
  "nesting without end": [
    fileOf("[".repeat(100_000)),
    `KW-CHECKPOINT-HEADER  x.safetensors byte 73
  The header is not usable JSON: it is nested more than 64 deep
  ${DAMAGED}`,
  ],
  "a key that comes twice": [
    fileOf(`${OK.slice(0, -1)},${OK.slice(1)}`, 8),
    `KW-CHECKPOINT-HEADER  key "a" x.safetensors byte 62
  The header is not usable JSON: the key comes twice
  ${DAMAGED}`,
  ],
  "a field that comes twice": [
    fileOf('{"a":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}}', 8),
    `KW-CHECKPOINT-HEADER  key "dtype" x.safetensors byte 28
  The header is not usable JSON: the key comes twice
  ${DAMAGED}`,
  ],
  "metadata that is no strings": [
    fileOf('{"__metadata__":{"format":1}}'),
    `KW-CHECKPOINT-HEADER  key "__metadata__" x.safetensors byte 34
  The metadata's "format" must be a string
  ${DAMAGED}`,
  ],
  "metadata that is no object": [
    fileOf('{"__metadata__":"pt"}'),
    `KW-CHECKPOINT-HEADER  key "__metadata__" x.safetensors byte 24
  The metadata must be an object of strings
  ${DAMAGED}`,
  ],
  "a tensor that is no object": [
    fileOf('{"a":null}'),
    `KW-CHECKPOINT-HEADER  key "a" x.safetensors byte 13
  A tensor must be described by an object
  ${DAMAGED}`,
  ],
  "a field that is missing": [
    fileOf('{"a":{"dtype":"F32","shape":[2]}}', 8),
    `KW-CHECKPOINT-HEADER  key "a" x.safetensors byte 13
  The tensor's description lacks "data_offsets"
  ${DAMAGED}`,
  ],
  "an unknown dtype": [
    fileOf(tensor('"F31"', "[2]", "[0,8]"), 8),
    `KW-CHECKPOINT-DTYPE  key "a" x.safetensors byte 22
  The dtype "F31" is not known
  Known are F64, F32, F16, BF16, I64, U64, I32, U32, I16, U16, I8, U8, BOOL, F8_E4M3, F8_E5M2.`,
  ],
  "a dtype that every object has": [
    fileOf(tensor('"__proto__"', "[2]", "[0,8]"), 8),
    `KW-CHECKPOINT-DTYPE  key "a" x.safetensors byte 22
  The dtype "__proto__" is not known
  Known are F64, F32, F16, BF16, I64, U64, I32, U32, I16, U16, I8, U8, BOOL, F8_E4M3, F8_E5M2.`,
  ],
  "a dtype that is no string": [
    fileOf(tensor("7", "[2]", "[0,8]"), 8),
    `KW-CHECKPOINT-HEADER  key "a" x.safetensors byte 22
  A tensor's "dtype" must be a string
  ${DAMAGED}`,
  ],
  "a negative size": [
    fileOf(tensor('"F32"', "[-2]", "[0,8]"), 8),
    `KW-CHECKPOINT-HEADER  key "a" x.safetensors byte 37
  A tensor's "shape" must be whole numbers from 0 below 2^53, and has -2
  ${DAMAGED}`,
  ],
  "a fractional size": [
    fileOf(tensor('"F32"', "[2.5]", "[0,8]"), 8),
    `KW-CHECKPOINT-HEADER  key "a" x.safetensors byte 37
  A tensor's "shape" must be whole numbers from 0 below 2^53, and has 2.5
  ${DAMAGED}`,
  ],
  "a size that overflows": [
    fileOf(tensor('"F32"', "[1e99]", "[0,8]"), 8),
    `KW-CHECKPOINT-HEADER  key "a" x.safetensors byte 37
  A tensor's "shape" must be whole numbers from 0 below 2^53, and has 1e99
  ${DAMAGED}`,
  ],
  "sizes whose product overflows": [
    fileOf(tensor('"F32"', "[4294967296,4294967296]", "[0,8]"), 8),
    `KW-CHECKPOINT-HEADER  key "a" x.safetensors byte 75
  The shape [4294967296, 4294967296] has more elements than can be counted
  ${DAMAGED}`,
  ],
  "an overflow that a zero hides": [
    fileOf(tensor('"F32"', "[4294967296,4294967296,0]", "[0,0]")),
    `KW-CHECKPOINT-HEADER  key "a" x.safetensors byte 77
  The shape [4294967296, 4294967296, 0] has more elements than can be counted
  ${DAMAGED}`,
  ],
  "a shape that is no array": [
    fileOf(tensor('"F32"', '"2"', "[0,8]"), 8),
    `KW-CHECKPOINT-HEADER  key "a" x.safetensors byte 36
  A tensor's "shape" must be an array of at most 32 numbers
  ${DAMAGED}`,
  ],
  "a size that is a string": [
    fileOf(tensor('"F32"', '["2"]', "[0,8]"), 8),
    `KW-CHECKPOINT-HEADER  key "a" x.safetensors byte 37
  A tensor's "shape" must be whole numbers from 0 below 2^53, and has another string
  ${DAMAGED}`,
  ],
  "offsets the wrong way round": [
    fileOf(tensor('"F32"', "[2]", "[8,0]"), 8),
    `KW-CHECKPOINT-OFFSETS  key "a" x.safetensors byte 55
  A tensor's "data_offsets" must be its begin and its end, and are [8, 0]
  ${DAMAGED}`,
  ],
  "offsets that do not match the shape": [
    fileOf(tensor('"F32"', "[3]", "[0,8]"), 8),
    `KW-CHECKPOINT-OFFSETS  key "a" x.safetensors byte 55
  F32 [3] takes 12 bytes, and its offsets [0, 8] hold 8
  ${DAMAGED}`,
  ],
  "offsets that run past the end": [
    fileOf(tensor('"F32"', "[3]", "[0,12]"), 8),
    `KW-CHECKPOINT-TRUNCATED  key "a" x.safetensors byte 71
  The file ends at byte 71, and this tensor ends at byte 75
  ${AGAIN}`,
  ],
  "a petabyte that is claimed": [
    fileOf(tensor('"U8"', "[1000000000000000]", "[0,1000000000000000]"), 8),
    `KW-CHECKPOINT-TRUNCATED  key "a" x.safetensors byte 99
  The file ends at byte 99, and this tensor ends at byte 1000000000000091
  ${AGAIN}`,
  ],
  "a hole in front": [
    fileOf(tensor('"F32"', "[2]", "[4,12]"), 12),
    `KW-CHECKPOINT-OFFSETS  key "a" x.safetensors byte 13
  4 bytes lie between the header and this tensor, and belong to nobody
  ${GAPS}`,
  ],
  "a hole between": [
    fileOf(`${OK.slice(0, -1)},"b":{"dtype":"U8","shape":[1],"data_offsets":[9,10]}}`, 10),
    `KW-CHECKPOINT-OFFSETS  key "b" x.safetensors byte 66
  1 bytes lie between "a" and this tensor, and belong to nobody
  ${GAPS}`,
  ],
  "tensors that overlap": [
    fileOf(`${OK.slice(0, -1)},"b":{"dtype":"U8","shape":[4],"data_offsets":[6,10]}}`, 10),
    `KW-CHECKPOINT-OFFSETS  key "b" x.safetensors byte 66
  This tensor begins 2 bytes before the end of "a"
  ${GAPS}`,
  ],
  "bytes behind the last tensor": [
    fileOf(OK, 11),
    `KW-CHECKPOINT-OFFSETS  x.safetensors byte 70
  3 bytes follow the last tensor, and belong to nobody
  Tensors must fill the file; it is damaged, or hides something.`,
  ],
};

describe("readHeader() of a bad file", () => {
  for (const [name, [file, message]] of Object.entries(CASES)) {
    it(`refuses ${name}`, async () => {
      const start = performance.now();
      assertEquals(await messageOf(() => readHeader(bytesSource(file, "x.safetensors"))), message);
      assertLess(performance.now() - start, 1000);
    });
  }

  it("cuts a key of megabytes short in its message", async () => {
    const file = fileOf(`{"${"k".repeat(5_000_000)}":1}`);
    assertLess((await messageOf(() => readHeader(bytesSource(file, "x.safetensors")))).length, 400);
  });

  it("says what was too much of a million empty tensors", async () => {
    const empty = (_: unknown, i: number) => `"${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`;
    const file = fileOf(`{${Array.from({ length: 400_001 }, empty).join(",")}}`);
    const message = await messageOf(() => readHeader(bytesSource(file, "x.safetensors")));
    assert(message.includes("an object has more than 400000 entries"), message);
  });

  it("reads no more than the header of a file that claims to be large", async () => {
    let read = 0;
    const file = fileOf(tensor('"U8"', "[1000000000000]", "[0,1000000000000]"));
    const source = {
      name: "large",
      size: file.length + 1e12,
      read: (offset: number, length: number) => {
        read += length;
        return Promise.resolve(Uint8Array.from(file.subarray(offset, offset + length)));
      },
    };
    assertEquals((await readHeader(source)).tensors.get("a")?.bytes, 1e12);
    assertEquals(read, 8 + file.length);
  });
});

describe("readHeader() of a good file", () => {
  it("takes keys such as __proto__, empty tensors, scalars and escapes", async () => {
    const file = fileOf(
      '{"__proto__":{"dtype":"F32","shape":[],"data_offsets":[0,4]},' +
        '"":{"dtype":"I64","shape":[0,7],"data_offsets":[4,4]},' +
        '"\\u00e9\\n":{"data_offsets":[4,6],"shape":[2,1],"dtype":"I8"},"__metadata__":{}}   ',
      6,
    );
    const { tensors, metadata } = await readHeader(bytesSource(file));
    assertEquals([...tensors.keys()], ["__proto__", "", "é\n"]);
    assertEquals([...tensors.values()].map((t) => t.bytes), [4, 0, 2]);
    assertEquals(metadata?.size, 0);
  });
});
