import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { loadTokenizer, type Tokenizer } from "../../sdk/models/mod.ts";
import { random } from "../helpers/random.ts";

/** A small tokenizer.json with a normalizer, expressions, merges and decoders. */
const WHOLE = {
  version: "1.0",
  added_tokens: [{ id: 0, content: "<unk>", special: true }, { id: 1, content: "<s>", special: true }],
  normalizer: { type: "Sequence", normalizers: [{ type: "NFC" }, { type: "Prepend", prepend: "▁" }] },
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: " ?\\p{L}+|\\s+" }, behavior: "Isolated", invert: false },
      { type: "Digits", individual_digits: true },
    ],
  },
  post_processor: {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [{ Sequence: { id: "A", type_id: 0 } }],
    special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
  },
  decoder: {
    type: "Sequence",
    decoders: [{ type: "Replace", pattern: { String: "▁" }, content: " " }, { type: "Fuse" }],
  },
  model: {
    type: "BPE",
    unk_token: "<unk>",
    vocab: { "<unk>": 0, "<s>": 1, "▁": 2, a: 3, b: 4, ab: 5, "▁ab": 6 },
    merges: ["a b", "▁ ab"],
  },
};

const load = (json: unknown, config: unknown = {}): Promise<Tokenizer | undefined> => {
  const text = (value: unknown) => new Blob([typeof value === "string" ? value : JSON.stringify(value)]);
  return loadTokenizer({ "tokenizer.json": text(json), "tokenizer_config.json": text(config) });
};

const withPart = (part: object) => load({ ...WHOLE, ...part });

async function refusal(work: () => unknown): Promise<string> {
  const error = await (async () => await work())().then(() => undefined, (e) => e);
  assert(error instanceof KernelwrightError, String(error));
  assertEquals(error.code, "KW-TOKENIZER");
  return error.message;
}

describe("a tokenizer", () => {
  it("encodes and decodes, nothing too", async () => {
    const tokenizer = (await load(WHOLE))!;
    assertEquals(tokenizer.encode("ab"), [1, 2, 5]);
    assertEquals(tokenizer.decode([1, 6, 3]), " aba");
    assertEquals(tokenizer.decode([]), "");
    assertEquals(tokenizer.decode(tokenizer.encode("")), "");
  });

  it("refuses ids that it does not have, naming the place, and what is no text", async () => {
    const tokenizer = (await load(WHOLE))!;
    for (const id of [7, -1, 1.5, NaN, 2 ** 40, "1", undefined, null]) {
      const said = await refusal(() => tokenizer.decode([3, id as number]));
      assertStringIncludes(said, `no id ${typeof id === "string" ? JSON.stringify(id) : id}, `);
      assertStringIncludes(said, "position 1");
    }
    for (const text of [undefined, null, 5, {}]) {
      await refusal(() => tokenizer.encode(text as unknown as string));
    }
  });

  it("refuses a token without an id", async () => {
    const single = [{ SpecialToken: { id: "<cls>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }];
    const model = { ...WHOLE.model, unk_token: null };
    const tokenizer = (await withPart({ post_processor: { ...WHOLE.post_processor, single }, model }))!;
    assertStringIncludes(await refusal(() => tokenizer.encode("a")), 'there is no id for "<cls>"');
  });

  it("refuses an expression that could take for ever, wherever it stands", async () => {
    const pattern = { Regex: "(a+)+$" };
    const split = { type: "Split", pattern, behavior: "Isolated", invert: false };
    for (
      const part of [
        { normalizer: { type: "Replace", pattern, content: "" } },
        { normalizer: { type: "Sequence", normalizers: [{ type: "Replace", pattern, content: "" }] } },
        { pre_tokenizer: split },
        {
          pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "Sequence", pretokenizers: [split] }] },
        },
        { decoder: { type: "Replace", pattern, content: "" } },
      ]
    ) {
      assertStringIncludes(await refusal(() => withPart(part)), "could take for ever");
    }
  });

  it("refuses what would be passed over without a word", async () => {
    const cases: [object, string][] = [
      [{ normalizer: { type: "Replace", pattern: { Glob: "*" }, content: "" } }, "neither String nor Regex"],
      [{ added_tokens: [{ id: "1", content: "<s>" }] }, "added_tokens[0]"],
      [{ model: { ...WHOLE.model, vocab: { a: -1 } } }, '"a" has the id -1'],
      [{ model: { ...WHOLE.model, merges: ["ab"] } }, "model.merges[0]"],
      [{ model: { ...WHOLE.model, merges: ["a b", ["▁", "ab"]] } }, "model.merges[1]"],
      [{ model: null }, "model is not an object"],
      [{ normalizer: { type: "Novel" } }, "Novel"],
      ...[null, 0, -1, 0.5, "3"].map((length): [object, string] => [
        { pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "FixedLength", length }] } },
        "have no end",
      ]),
    ];
    for (const [part, words] of cases) assertStringIncludes(await refusal(() => withPart(part)), words);
    assertStringIncludes(await refusal(() => load("{")), "tokenizer.json");
    assertStringIncludes(await refusal(() => load(WHOLE, "[")), "tokenizer_config.json");
    assertStringIncludes(await refusal(() => load(WHOLE, [])), "tokenizer_config.json");
  });

  it("throws nothing foreign, whatever the file has become", async () => {
    const odd = [null, -1, 0, 1.5, 1e9, "", "x", "(a+)+", "[", [], {}, [[]], true, { Regex: "(" }, {
      String: 5,
    }];
    const warn = console.warn;
    console.warn = () => {}; // the implementation's
    try {
      for (let i = 0; i < 1500; i++) {
        const next = random(i * 7919 + 1);
        const any = <T>(of: readonly T[]) => of[Math.floor(next() * of.length)];
        const json = structuredClone(WHOLE);
        for (let n = next() * 2; n > 0; n--) {
          const places = [...placesOf(json)];
          const [object, key] = any(places);
          const [other, from] = any(places);
          const what = next();
          if (what < 0.2) delete object[key];
          else object[key] = structuredClone(what < 0.3 ? other[from] : any(odd));
        }
        await assertOurs(async () => {
          const tokenizer = (await load(json))!;
          for (const text of ["", "ab 12", "z <s>\ud800 ab".repeat(20)]) {
            const ids = tokenizer.encode(text);
            assert(ids.every((id) => Number.isInteger(id) && id >= 0), `${ids}`);
            await assertOurs(() => assertEquals(typeof tokenizer.decode(ids), "string"));
          }
        }, JSON.stringify(json));
      }
    } finally {
      console.warn = warn;
    }
  });
});

type Place = [object: Record<string, unknown>, key: string];

function* placesOf(value: object): Generator<Place> {
  for (const [key, inner] of Object.entries(value)) {
    yield [value as Record<string, unknown>, key];
    if (typeof inner === "object" && inner !== null) yield* placesOf(inner);
  }
}

async function assertOurs(work: () => unknown, what = ""): Promise<void> {
  try {
    await work();
  } catch (error) {
    assert(error instanceof KernelwrightError && error.code === "KW-TOKENIZER", `${error}\n${what}`);
  }
}
