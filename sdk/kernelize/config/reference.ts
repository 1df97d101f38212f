/**
 * What a kernel reference says, read once.
 *
 *   ./folder:Name  C:\folder:Name      path      a folder or file, by its name
 *   file:///folder:Name                file      the same, by its URL
 *   https://host/kernel.js:Name        address   a bundle's entry; http, too
 *   jsr:@scope/name@^1/folder:Name     package   a bundle in a package; npm, too
 *   anything:else:Name                 other     for a resolver of the caller's own
 *   a class                            class
 *
 * All of text are a place, the last colon, and the name of an export.
 */
import { checkArgument, checkFields, refuseArgument } from "../../arguments.ts";
import { isKernel, type KernelClass } from "../../authoring/mod.ts";
import { raise } from "../../errors.ts";
import type { KernelRef } from "./config.ts";

/** A folder or file of this machine, or what lies beside the config. */
export interface PathPlace {
  /** What kind of place it is. */
  readonly kind: "path";
  /** The path: exactly the names that are written. */
  readonly where: string;
}

/** A folder or file of this machine, by its URL. */
export interface FilePlace {
  /** What kind of place it is. */
  readonly kind: "file";
  /** The `file:` URL, as it was written. */
  readonly where: string;
}

/** A bundle at an address. */
export interface AddressPlace {
  /** What kind of place it is. */
  readonly kind: "address";
  /** The address, as it was written. */
  readonly where: string;
  /** The same, of http or https. */
  readonly url: URL;
}

/** A bundle in a package. */
export interface PackagePlace {
  /** What kind of place it is. */
  readonly kind: "package";
  /** As it was written: what the lock calls it. */
  readonly where: string;
  /** Whose package it is. */
  readonly registry: "jsr" | "npm";
  /** `@scope`, where it has one. */
  readonly scope?: string;
  /** The package's whole name. */
  readonly package: string;
  /** A version, a range, or npm's tag; defaults to the newest. */
  readonly range?: string;
  /** A folder in the package, with a slash at its end. */
  readonly folder?: string;
}

/** A place of a kind that only a resolver of the caller's own knows. */
export interface OtherPlace {
  /** What kind of place it is. */
  readonly kind: "other";
  /** The place, as it was written. */
  readonly where: string;
}

/** A place that can be a folder or file of this machine. Where no name need follow, one may be called `a:b/c`. */
export type LocalPlace = PathPlace | FilePlace | OtherPlace;

/** Where a reference leads. */
export type Place = LocalPlace | AddressPlace | PackagePlace;

/** A reference that was written: a place, and the name of the export there. */
export type TextReference = Place & {
  /** The name of the export. */
  readonly name: string;
};

/** A kernel that is named by its class. */
export interface ClassReference {
  /** What kind of reference it is. */
  readonly kind: "class";
  /** The class. */
  readonly kernel: KernelClass;
  /** Its name. */
  readonly name: string;
}

/** What a kernel reference says. */
export type Reference = TextReference | ClassReference;

/**
 * Reads a reference.
 *
 * @param base Where the config lies. Beside an address, a path is an address on the same host, and never on another.
 * @throws KW-REF-SYNTAX
 *
 * @example
 * ```ts
 * import { parseReference, referenceText } from "@kernelwright/sdk/config";
 * import { assertEquals } from "@std/assert";
 *
 * const reference = parseReference("jsr:@you/norms@^1:FastNorm");
 * assertEquals([reference.kind, reference.name], ["package", "FastNorm"]);
 * assertEquals(referenceText(reference), "jsr:@you/norms@^1:FastNorm");
 * ```
 */
export function parseReference(ref: string, base?: URL): TextReference;
/** Reads a reference that may be a class. @throws KW-REF-SYNTAX */
export function parseReference(ref: KernelRef, base?: URL): Reference;
export function parseReference(ref: KernelRef, base?: URL): Reference {
  if (isKernel(ref)) return { kind: "class", kernel: ref, name: ref.name };
  checkArgument("parseReference(): ref", ref, "a string");
  if (base !== undefined && !(base instanceof URL)) refuseArgument("parseReference(): base", base, "a URL");
  const { where, name } = cut(ref) ?? raise(
    "KW-REF-SYNTAX",
    `Cannot read the kernel reference ${JSON.stringify(ref)}`,
    "Write a folder or file, a colon, and the exported class: ./examples/rmsnorm-mlp:RMSNormMLP.",
  );
  return { ...placeAt(where, base), name };
}

/** Where a reference leads that may lack the name of an export. @throws KW-REF-SYNTAX */
export function parsePlace(ref: string): Place {
  checkArgument("parsePlace(): ref", ref, "a string");
  const [, scheme, rest] = /^((?:https?|file|jsr|npm):)?(.*)$/s.exec(ref)!;
  const named = cut(rest); // "npm:name" is a package, and "https://host:80" has a port
  return placeAt(named ? (scheme ?? "") + named.where : ref);
}

/** Whether a text has the form of a reference. */
export function isReference(text: string): boolean {
  return cut(text) !== undefined;
}

/**
 * A reference as it is written into a config.
 *
 * See the example of {@linkcode parseReference}.
 */
export function referenceText(reference: TextReference): string {
  checkFields("referenceText(): reference", reference, { where: "a string", name: "a string" });
  const { where, name } = reference;
  return `${where}:${name}`;
}

/**
 * The address that a path means beside another: exactly the names that are written, never another host.
 *
 * @throws KW-REF-SYNTAX for text that is no Unicode.
 */
export function besideAddress(path: string, base: URL): URL {
  if (!path.isWellFormed()) {
    raise("KW-REF-SYNTAX", `Cannot read ${JSON.stringify(path)} as a path: it is no Unicode text`);
  }
  // Two slashes would begin a host, and a colon in the first name a scheme.
  const start = path.startsWith("/") ? path.replace(/^\/+/, "/") : `./${path}`;
  return new URL(encodeURI(start).replaceAll("?", "%3F").replaceAll("#", "%23"), base);
}

// ---------------------------------------------------------------------------

/** The two sides of a reference: where, and which export. */
function cut(ref: string): { where: string; name: string } | undefined {
  const [, where, name] = /^(.+):([A-Za-z_$][\w$]*)$/s.exec(ref) ?? [];
  return name === undefined ? undefined : { where, name };
}

function placeAt(where: string, base?: URL): Place {
  if (/^https?:/.test(where)) return address(where);
  if (/^(jsr|npm):/.test(where)) return parsePackage(where);
  if (/^file:/i.test(where)) return { kind: "file", where };
  if (/^[a-z][a-z0-9+.-]+:/i.test(where)) return { kind: "other", where }; // one letter is a drive
  if (!base || !/^https?:$/.test(base.protocol)) return { kind: "path", where };
  return address(besideAddress(/(\.m?js|\/)$/.test(where) ? where : `${where}/`, base).href);
}

function address(where: string): AddressPlace {
  if (!URL.canParse(where)) {
    raise("KW-REF-SYNTAX", `${JSON.stringify(where)} is not an address`, "Write https://…/kernel.js:Name.");
  }
  return { kind: "address", where, url: new URL(where) };
}

function parsePackage(where: string): PackagePlace {
  const match =
    /^(jsr|npm):((@[a-z0-9][a-z0-9._-]*)\/)?([a-z0-9][a-z0-9._-]*)(?:@([^/@]+))?((?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)\/?$/
      .exec(where);
  if (!match || (match[1] === "jsr" && !match[2])) {
    raise(
      "KW-REF-SYNTAX",
      `Cannot read the package ${JSON.stringify(where)}`,
      "Write jsr:@scope/name@^1:Kernel or npm:name@1:Kernel, with a folder after the version where there is one.",
    );
  }
  const [, registry, , scope, name, range, folder] = match;
  return {
    kind: "package",
    where,
    registry: registry as "jsr" | "npm",
    scope,
    package: scope ? `${scope}/${name}` : name,
    range: range?.trim(),
    folder: folder ? `${folder.slice(1)}/` : undefined,
  };
}
