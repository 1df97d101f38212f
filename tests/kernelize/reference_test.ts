/** What a kernel reference says: every form, the odd ones too, and that writing one back changes nothing. */
import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "@kernelwright/sdk";
import { parseReference, referenceText, type TextReference } from "@kernelwright/sdk/config";
import { parsePlace, pathOf } from "../../sdk/kernelize/mod.ts";
import { kernelsJson } from "../../sdk/models/save.ts";
import { Norm } from "./fixtures.ts";

const WEB = new URL("https://models.example/llama/kernels.json?version=2");
const DISK = new URL("file:///models/a%20b/kernels.json");

/** What is said of a reference besides its name, as one line. */
function said({ kind, ...rest }: TextReference): string {
  if (rest.name !== "K") throw new Error(`the name is ${rest.name}`);
  const place = { ...rest, kind } as TextReference;
  if (place.kind === "address") return `address ${place.url.href}`;
  if (place.kind !== "package") return `${kind} ${rest.where}`;
  const { registry, scope, package: name, range, folder } = place;
  return ["package", registry, scope ?? "-", name, range ?? "-", folder ?? "-"].join(" ");
}

function codeOf(fn: () => unknown, what: string): string {
  return assertThrows(fn, KernelwrightError, undefined, what).code;
}

/** A place, what is said of it, and what beside an address. */
const PLACES: readonly (readonly [place: string, said: string, beside?: string])[] = [
  // Paths: exactly the names that are written.
  ["./folder", "path ./folder", "address https://models.example/llama/folder/"],
  ["folder", "path folder", "address https://models.example/llama/folder/"],
  ["./kernel.js", "path ./kernel.js", "address https://models.example/llama/kernel.js"],
  ["./kernel.mjs", "path ./kernel.mjs", "address https://models.example/llama/kernel.mjs"],
  ["./mod.ts", "path ./mod.ts", "address https://models.example/llama/mod.ts/"],
  ["../up/", "path ../up/", "address https://models.example/up/"],
  ["../../../up", "path ../../../up", "address https://models.example/up/"],
  ["/root", "path /root", "address https://models.example/root/"],
  ["//evil.example/a", "path //evil.example/a", "address https://models.example/evil.example/a/"],
  ["~/a", "path ~/a", "address https://models.example/llama/~/a/"],
  ["./a b#c?d", "path ./a b#c?d", "address https://models.example/llama/a%20b%23c%3Fd/"],
  ["./a%20b", "path ./a%20b", "address https://models.example/llama/a%2520b/"],
  ["%2e%2e/a", "path %2e%2e/a", "address https://models.example/llama/%252e%252e/a/"],
  ["./a@1@2", "path ./a@1@2", "address https://models.example/llama/a@1@2/"],
  ["@scope/name@1", "path @scope/name@1", "address https://models.example/llama/@scope/name@1/"],
  ["owner/name@1", "path owner/name@1", "address https://models.example/llama/owner/name@1/"],
  ["日本", "path 日本", "address https://models.example/llama/%E6%97%A5%E6%9C%AC/"],
  ["./a\nb", "path ./a\nb", "address https://models.example/llama/a%0Ab/"],
  [" ", "path  ", "address https://models.example/llama/%20/"],
  // Colons: one letter before one is a drive, more are a scheme, and behind a slash it is a part of a name.
  ["C:\\kernels\\a", "path C:\\kernels\\a", "address https://models.example/llama/C:%5Ckernels%5Ca/"],
  ["c:/kernels/a", "path c:/kernels/a", "address https://models.example/llama/c:/kernels/a/"],
  ["a:b", "path a:b", "address https://models.example/llama/a:b/"],
  ["./ab:c", "path ./ab:c", "address https://models.example/llama/ab:c/"],
  [":", "path :", "address https://models.example/llama/:/"],
  ["1ab:c", "path 1ab:c", "address https://models.example/llama/1ab:c/"],
  ["ab:c", "other ab:c"],
  ["data:text/javascript,x", "other data:text/javascript,x"],
  ["ftp://host/kernel.js", "other ftp://host/kernel.js"],
  ["git+ssh://host/a", "other git+ssh://host/a"],
  ["HTTPS://host/kernel.js", "other HTTPS://host/kernel.js"],
  ["NPM:name", "other NPM:name"],
  // Look-alikes are no schemes.
  ["ｈttps://host/a.js", "path ｈttps://host/a.js"],
  ["http\u017F://host/a.js", "path http\u017F://host/a.js"],
  ["npm\uA789name", "path npm\uA789name"],
  ["https\uFF1A//host/a.js", "path https\uFF1A//host/a.js"],
  ["nрm:name", "path nрm:name"], // the second letter is Cyrillic
  // file: URLs, as they were written.
  ["file:///a%20b/mod.ts", "file file:///a%20b/mod.ts"],
  ["FILE:///a", "file FILE:///a"],
  ["file:///%zz", "file file:///%zz"],
  ["file://host/a", "file file://host/a"],
  // Addresses.
  ["https://host/kernel.js", "address https://host/kernel.js"],
  ["https://HOST:443/a/../kernel.js", "address https://host/kernel.js"],
  ["http://127.0.0.1:8000/k.js", "address http://127.0.0.1:8000/k.js"],
  ["https://host:8000", "address https://host:8000/"],
  ["https://user:word@host/k.js", "address https://user:word@host/k.js"],
  ["https://host/a%2fb.js", "address https://host/a%2fb.js"], // the resolver refuses it
  ["https://[::1]/k.js", "address https://[::1]/k.js"],
  ["https://hоst/k.js", "address https://xn--hst-sed/k.js"], // a Cyrillic letter
  // Packages.
  ["jsr:@you/kernels", "package jsr @you @you/kernels - -"],
  ["jsr:@you/kernels@^1.2", "package jsr @you @you/kernels ^1.2 -"],
  ["jsr:@you/kernels@1/dist/", "package jsr @you @you/kernels 1 dist/"],
  ["npm:name", "package npm - name - -"],
  ["npm:name@latest", "package npm - name latest -"],
  ["npm:name@>=1 <2", "package npm - name >=1 <2 -"],
  ["npm:name@ 1 ", "package npm - name 1 -"],
  ["npm:@a/b@1.2.3-rc.1/x/y", "package npm @a @a/b 1.2.3-rc.1 x/y/"],
];

const REFUSED = [
  // No place, no colon, or no name.
  ...[
    "",
    "K",
    ":K",
    "./a",
    "./a:",
    "./a:K:",
    "./a: K",
    "./a:K ",
    "./a:1K",
    "./a:K-L",
    "./a:\u00C4",
    "./a\uFF1AK",
  ],
  ...["https://host/kernel.js", "https://host:8000", "npm:name@1"].map((place) => `${place}:`),
  // No address, no package.
  ...["https://[", "https://a b/k.js", "http://", "http:", "https://host:99999/"].map((place) =>
    `${place}:K`
  ),
  ...[
    "npm:",
    "npm:../evil",
    "npm:@a/../b@1",
    "npm:@a",
    "npm:UPPER@1",
    "npm:a@1@2",
    "npm:@a/b@1@2",
    "npm:a@",
    "npm:a@1/.b",
  ]
    .map((place) => `${place}:K`),
  ...["jsr:unscoped@1", "jsr:@a/b@1//c", "npm:a@1/../b", "npm:n\u0430me", "npm:%61", "npm:a:b"].map((p) =>
    `${p}:K`
  ),
];

describe("a reference", () => {
  for (const [place, says, beside] of PLACES) {
    it(`says where it leads: ${JSON.stringify(place)}`, () => {
      const reference = parseReference(`${place}:K`);
      assertEquals(said(reference), says);
      assertEquals(reference.where, place);
      assertEquals(referenceText(reference), `${place}:K`);
      assertEquals(parseReference(`${place}:K`, DISK), reference, "beside a file");
      // Beside an address, only what is a path is another.
      const there = parseReference(`${place}:K`, WEB);
      if (beside !== undefined || reference.kind !== "path") assertEquals(said(there), beside ?? says);
      assertEquals(there.kind, reference.kind === "path" ? "address" : reference.kind);
      assertEquals(parseReference(referenceText(there), WEB), there);
    });
  }

  it("is refused where it cannot be read", () => {
    for (const ref of REFUSED) assertEquals(codeOf(() => parseReference(ref), ref), "KW-REF-SYNTAX", ref);
    assertEquals(codeOf(() => parseReference("./\uD800:K", WEB), "half a letter"), "KW-REF-SYNTAX");
    for (const wrong of [undefined, null, 1, {}]) {
      assertEquals(codeOf(() => parseReference(wrong as unknown as string), String(wrong)), "KW-ARGUMENT");
    }
    assertEquals(codeOf(() => parseReference("./a:K", "x" as unknown as URL), "a base"), "KW-ARGUMENT");
  });

  it("may be a class", () => {
    assertEquals(parseReference(Norm), { kind: "class", kernel: Norm, name: "Norm" });
  });
});

describe("a place", () => {
  it("is the same with a name after it, and without where it is not a name itself", () => {
    for (const [place, says] of PLACES) {
      const { name: _, ...expected } = parseReference(`${place}:K`);
      assertEquals(parsePlace(`${place}:K`), expected, says);
      if (!/[^/]:[A-Za-z_$][\w$]*$/.test(place)) assertEquals(parsePlace(place), expected, place);
    }
    assertEquals(parsePlace("npm:name").kind, "package");
    assertEquals(parsePlace("https://host:8000").where, "https://host:8000");
    assertEquals(parsePlace("https://host:K").where, "https://host");
    assertEquals(parsePlace("ab:c"), { kind: "path", where: "ab" });
  });

  it("on this machine is the folder of that name, and never another one", () => {
    const at = (ref: string, base?: URL) => pathOf(parseReference(ref) as Parameters<typeof pathOf>[0], base);
    assertEquals(at("./x%20y:K", DISK), "/models/a b/x%20y");
    assertEquals(at("../x:K", DISK), "/models/x");
    assertEquals(at("file:///x%20y:K", DISK), "/x y");
    assertEquals(at("./x:K"), `${Deno.cwd()}/x`);
    for (const bad of ["file:///%zz:K", "file://host/a:K"]) {
      assertEquals(codeOf(() => at(bad), bad), "KW-REF-SYNTAX");
    }
  });
});

describe("writing references", () => {
  const segment = fc.oneof(
    fc.constantFrom(
      ".",
      "..",
      "a",
      "a b",
      "%2e",
      "a%",
      "#",
      "?",
      "a:b",
      "C:",
      "@",
      "日本",
      "\\",
      "kernel.js",
      ":",
    ),
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 }),
  );
  const path = fc.tuple(
    fc.constantFrom("./", "../", "/", "//", "", "C:\\"),
    fc.array(segment, { maxLength: 4 }),
  )
    .map(([start, names]) => start + names.join("/"));
  const word = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,5}$/);
  const range = fc.constantFrom("", "@1", "@^1.2", "@~1", "@latest", "@>=1 <2", "@1.2.3-rc.1");
  const folder = fc.constantFrom("", "/", "/dist", "/a/b/");
  const packages = fc.tuple(word, word, range, folder).chain(([scope, name, version, into]) =>
    fc.constantFrom(
      `jsr:@${scope}/${name}${version}${into}`,
      `npm:@${scope}/${name}${version}${into}`,
      `npm:${name}${version}${into}`,
    )
  );
  const place = fc.oneof(path, packages, fc.webUrl({ validSchemes: ["http", "https", "ftp", "file"] }));
  const name = fc.stringMatching(/^[A-Za-z_$][\w$]{0,5}$/);
  const base = fc.constantFrom(undefined, WEB, DISK);

  it("gives the same reference, whatever it is", () => {
    fc.assert(
      fc.property(place, name, base, (where, name, base) => {
        const text = `${where}:${name}`;
        let reference: TextReference;
        try {
          reference = parseReference(text, base);
        } catch (error) {
          assertEquals((error as KernelwrightError).code, "KW-REF-SYNTAX");
          return;
        }
        assertEquals(reference.name, name);
        assertEquals(parseReference(referenceText(reference), base), reference);
        if (reference.kind !== "address" || base !== WEB) assertEquals(referenceText(reference), text);
        const { name: _, ...rest } = reference;
        assertEquals(parsePlace(referenceText(reference)), rest);
      }),
      { numRuns: 500 },
    );
  });

  it("into a kernels.json keeps where they lead, wherever that file is read", () => {
    const written = (ref: string, base?: URL) =>
      JSON.parse(kernelsJson({ kernels: [{ replace: "RMSNorm", with: ref }] }, base)).kernels[0]
        .with as string;
    fc.assert(
      fc.property(path, name, (where, name) => {
        const text = `${where}:${name}`;
        const read = () => parseReference(text);
        if (where === "" || where.includes("\0") || read().kind !== "path" || !where.isWellFormed()) return;
        const here = written(text, DISK);
        const [local, saved] = [read(), parseReference(here, WEB)];
        assertEquals(saved.kind, "file");
        const of = (r: TextReference, base?: URL) => pathOf(r as Parameters<typeof pathOf>[0], base);
        assertEquals(of(saved), of(local, DISK));
        // Beside an address, a folder stays one: a bundle's kernel.json lies in it.
        assertEquals(parseReference(written(text, WEB), DISK), parseReference(text, WEB));
        assertEquals(written(text), text);
      }),
      { numRuns: 300 },
    );
  });
});
