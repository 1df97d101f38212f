import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "@kernelwright/sdk";
import { linearRegex } from "../../sdk/kernelize/config/linear_regex.ts";
import { compilePattern } from "../../sdk/kernelize/config/pattern.ts";

const TEXTS = [
  "",
  "a",
  "b",
  "aa",
  "ab",
  "ba",
  "aab",
  "abab",
  "aaaa",
  "c.d",
  "c\nd",
  "model.layers.0.mlp",
  "model.layers.13.mlp",
  "model.layers.2.self_attn.q_proj",
  "x.norm",
  "norm",
  "layer_norm",
  "a-b",
  "]",
  "\\",
  "é",
  "日本",
  "AB",
  "0",
  "{2}",
];

describe("a regular expression of a config", () => {
  it("matches what JavaScript's own matches", () => {
    for (
      const source of [
        "^model\\.layers\\.[0-3]\\.",
        "layers\\.(\\d|1[0-9])\\.mlp$",
        "^(?:a|b)*$",
        "(a|ab)(b|)$",
        "a{2}",
        "a{2,}b",
        "^a{1,3}$",
        "^(ab){2}$",
        "^(a?){3}$",
        "a{0}b",
        "[^a]",
        "[]a]",
        "[\\]\\\\]",
        "[a\\-b]-",
        ".",
        "^.$",
        "\\bnorm\\b",
        "\\Bnorm",
        "^(?!.*mlp)model",
        "(?=.*self)model\\.layers",
        "^(?!model\\.layers\\.0\\.)model",
        "q_proj|mlp$",
        "",
        "|",
        "()",
        "a||b",
        "(?:)*",
        "(a*)*$",
        "(a*)+b",
        "^(a+)+$",
        "\\d+?\\.",
        "\\w\\W",
        "\\s|\\S{4}",
        "\\u65e5",
        "\\x61$",
        "\\/",
        "\\.",
        "[\\d.]+$",
        "^(?:(?=a)a|b)*$",
        "(?:^)a",
        "(?:^)*b",
        "(a|b|)+?$",
        "^[\\w.]*$",
        "é",
        "a{",
        "\\cJ",
        "^$",
        "(?:(?:(a)))",
        "[\\b]",
        "x*",
        "(?!(?=b)ba|a)",
      ]
    ) {
      const [own, test] = [new RegExp(source), linearRegex(source)];
      for (const text of TEXTS) {
        assertEquals(test(text), own.test(text), `/${source}/ on ${JSON.stringify(text)}`);
      }
    }
  });

  it("matches what JavaScript's own matches, for patterns of chance", () => {
    let seed = 11;
    const random = (n: number) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n;
    const pattern = (depth: number): string => {
      const one = () => ["a", "b", "[ab]", ".", "^", "$", "\\b", "a", "b"][random(9)];
      if (depth === 0) return one();
      const inner = () => pattern(depth - 1);
      return [
        () => inner() + inner(),
        () => `(?:${inner()})*`,
        () => `(${inner()}|${inner()})`,
        () => `(?:${inner()}){1,2}`,
        () => `(?=${inner()})${inner()}`,
        () => `(?!${inner()})${inner()}`,
        () => `(${inner()})?${inner()}`,
        () => `(${inner()})+`,
      ][random(8)]();
    };
    for (let i = 0; i < 600; i++) {
      const source = pattern(1 + random(3));
      const [own, test] = [new RegExp(source), linearRegex(source)];
      for (const text of ["", "a", "b", "ab", "ba", "aab", "bab", "a.b", "abba"]) {
        assertEquals(test(text), own.test(text), `/${source}/ on ${JSON.stringify(text)}`);
      }
    }
  });

  it("ends, whatever it is", () => {
    const text = `model.${"a".repeat(3000)}!`;
    for (
      const source of [
        "(a+)+$",
        "\\.(a|a)*$",
        "\\.(a|aa)+$",
        "^model\\.(.*a){12}$",
        "(\\w+\\w+\\w+)+$",
        "(?=(a+)+$)b",
        "(a*)*b",
      ]
    ) {
      assertEquals(linearRegex(source)(text), false, source);
    }
  });

  it("is refused where it is too large, or of a kind that cannot be bounded", () => {
    for (
      const source of [
        "(",
        "a{2,1}",
        "(a)\\1",
        "(?<=a)b",
        "(?<!a)b",
        "(?<name>a)",
        "a{5000}",
        "((a{100}){100}){100}",
        "(".repeat(300) + ")".repeat(300),
        "a".repeat(1001),
        "(a{99}|b){99}",
      ]
    ) {
      const error = assertThrows(
        () => compilePattern({ regex: source }),
        KernelwrightError,
        undefined,
        source.slice(0, 40),
      );
      assertEquals(error.code, "KW-CONFIG-PATTERN");
    }
    const heavy = compilePattern({ regex: "(?:.?){400}x" });
    const all = () => Array.from({ length: 20 }, () => heavy("a".repeat(5000)));
    assertEquals(assertThrows(all, KernelwrightError).code, "KW-CONFIG-PATTERN");
  });
});
