import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { backtracksIn } from "../sdk/models/backtracking.ts";

const { raw } = String;

describe("backtracksIn()", () => {
  // As tokenizers of well-known models have them, in JavaScript's spelling.
  const fine = [
    raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
    raw`(?:'[sS]|'[tT]|'[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re)?|\p{N}{1,3}|\s+`,
    raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_\x60{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*`,
    raw`\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))`,
    raw`(?<=\d)(?:\r?\n)+|(ab|cd)*|(a|b)+|x{1,500}|[\u4e00-\u9fff]+`,
    "▁",
    " {2,}",
    "",
  ];
  for (const source of fine) {
    it(`takes ${source.slice(0, 40)}`, () => assertEquals(backtracksIn(source), undefined));
  }

  const bad = [
    "(a+)+$",
    "(a*)*b",
    "(?:a|a)*b",
    "(a|[ab])*c",
    "(.*)*x",
    "(a|ab)*(b|)*c(a*)*",
    raw`(\w|\d)*$`,
    raw`(\s*\w*)*!`,
    "(a?b?)*c",
    "(a{1,3})+$",
    "(aa|aaa)+$",
    "(x+x+)+y",
    "(?=(a+)+b)",
    "(?<!(a+)+b)",
    "(a+){1,30}b",
    "(a+){2,}$",
    "((a|b)+)+",
    raw`^(([a-z])+.)+[A-Z]([a-z])+$`,
    raw`(?i:(a|A)*)b`,
    raw`(a)\1*`,
    raw`(?<n>a)\k<n>`,
    raw`\s*\s*\s*x`,
    raw`\w*a*[ab]+x?[a-c]*!`,
    "(".repeat(500) + ")".repeat(500),
    "a".repeat(5000),
  ];
  for (const source of bad) {
    it(`refuses ${source.slice(0, 40)}`, () => assertEquals(typeof backtracksIn(source), "string"));
  }
});
