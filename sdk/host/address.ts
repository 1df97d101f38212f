/** What kind of place an address leads to, by its host in any spelling, and by what its name resolves to. */
import { builtin } from "./host.ts";

/**
 * - `loopback`: this machine.
 * - `private`: a network that not everybody is in.
 * - `special`: link-local, where clouds keep their metadata, and what is nobody's address.
 * - `public`: all else.
 */
export type Place = "public" | "private" | "loopback" | "special";

/** Finds a name's addresses. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** The place that a URL's host is by its spelling alone. `URL` has made hexadecimal, octal and short IPv4 plain. */
export function placeOf(url: URL): Place {
  const host = url.hostname.toLowerCase().replace(/\.+$/, "");
  if (host.startsWith("[")) return placeOfIPv6(host.slice(1, -1));
  return placeOfIPv4(host) ?? placeOfName(host);
}

/** The places that a URL may lead to: by its spelling, and by what the name resolves to where that can be asked. */
export async function placesOf(url: URL, resolve: Resolve = lookUp): Promise<ReadonlySet<Place>> {
  const places = new Set([placeOf(url)]);
  const host = url.hostname.replace(/\.+$/, "");
  if (host.startsWith("[") || placeOfIPv4(host)) return places;
  for (const address of await resolve(host).catch(() => [])) places.add(placeOfAddress(address));
  return places;
}

/** The place of a resolved address. */
export function placeOfAddress(address: string): Place {
  return address.includes(":") ? placeOfIPv6(address) : placeOfIPv4(address) ?? "special";
}

/** A name's addresses as fetch() will find them; none where that may not be asked, as in a page, or nobody answers. */
export async function lookUp(host: string): Promise<readonly string[]> {
  const deno = (globalThis as Host).Deno;
  if (deno && deno.permissions.querySync({ name: "net", host }).state !== "granted") return [];
  const dns = builtin("node:dns/promises");
  if (!dns) return [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never[]>((done) => timer = setTimeout(() => done([]), PATIENCE));
  const found = dns.lookup(host, { all: true }).then((all) => all.map((a) => a.address), () => []);
  return await Promise.race([found, late]).finally(() => clearTimeout(timer));
}

// ---------------------------------------------------------------------------

/** How long a name server may take, in milliseconds. */
const PATIENCE = 3000;

interface Host {
  readonly Deno?: {
    readonly permissions: { querySync(p: { name: "net"; host: string }): { state: string } };
  };
}

/** IPv4 ranges that are not everybody's (RFC 6890): first address, length of the prefix, place. */
const IPV4: readonly (readonly [string, number, Place])[] = [
  ["127.0.0.0", 8, "loopback"],
  ["0.0.0.0", 32, "loopback"], // what connects there arrives here
  ["10.0.0.0", 8, "private"],
  ["172.16.0.0", 12, "private"],
  ["192.168.0.0", 16, "private"],
  ["100.64.0.0", 10, "private"],
  ["0.0.0.0", 8, "special"],
  ["169.254.0.0", 16, "special"],
  ["192.0.0.0", 24, "special"],
  ["192.0.2.0", 24, "special"],
  ["192.88.99.0", 24, "special"],
  ["198.18.0.0", 15, "special"],
  ["198.51.100.0", 24, "special"],
  ["203.0.113.0", 24, "special"],
  ["224.0.0.0", 3, "special"], // multicast, reserved, broadcast
];

/** Endings of names that only a machine or a network of one's own knows. */
const OWN_NAMES =
  /(^|\.)(local|localdomain|internal|intranet|private|corp|home|lan|home\.arpa|onion|test|invalid)$/;

function placeOfIPv4(text: string): Place | undefined {
  const value = ipv4(text);
  return value === undefined ? undefined : placeOfBits(value);
}

function placeOfBits(value: number): Place {
  const range = IPV4.find(([from, length]) => value >>> (32 - length) === ipv4(from)! >>> (32 - length));
  return range?.[2] ?? "public";
}

function ipv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const parts = match?.slice(1).map(Number);
  return parts?.every((p) => p < 256) ? parts.reduce((n, p) => n * 256 + p, 0) : undefined;
}

function placeOfIPv6(text: string): Place {
  const words = ipv6(text.split("%")[0]); // a zone
  if (!words) return "special";
  const last = words[6] * 65536 + words[7];
  const zeros = (n: number) => words.slice(0, n).every((w) => w === 0);
  if (zeros(7) && words[7] <= 1) return "loopback"; // :: and ::1
  // IPv4 in IPv6: mapped, translated, compatible, NAT64 and 6to4 lead to that address.
  if (zeros(5) && words[5] === 0xffff) return placeOfBits(last);
  if (zeros(4) && words[4] === 0xffff && words[5] === 0) return placeOfBits(last);
  if (zeros(6)) return placeOfBits(last);
  if (words[0] === 0x64 && words[1] === 0xff9b) return words[2] === 0 ? placeOfBits(last) : "private";
  if (words[0] === 0x2002) return placeOfBits(words[1] * 65536 + words[2]);
  if ((words[0] & 0xfe00) === 0xfc00) return "private";
  if ((words[0] & 0xffc0) === 0xfec0) return "private"; // once site-local
  // Global unicast is 2000::/3, but for Teredo, benchmarks and documentation.
  const special = (words[0] & 0xe000) !== 0x2000 ||
    (words[0] === 0x2001 && (words[1] < 0x200 || words[1] === 0xdb8));
  return special ? "special" : "public";
}

/** An IPv6 address's eight words. */
function ipv6(text: string): number[] | undefined {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const value = dotted ? ipv4(dotted[2]) : undefined;
  if (dotted && value === undefined) return undefined;
  const plain = dotted
    ? `${dotted[1]}${(value! >>> 16).toString(16)}:${(value! & 0xffff).toString(16)}`
    : text;
  const halves = plain.split("::").map((h) => h === "" ? [] : h.split(":"));
  if (halves.length > 2 || halves.flat().some((w) => !/^[0-9a-f]{1,4}$/i.test(w))) return undefined;
  const missing = 8 - halves.flat().length;
  if (halves.length === 1 ? missing !== 0 : missing < 0) return undefined;
  const [head, tail = []] = halves;
  return [...head, ...Array<string>(halves.length === 1 ? 0 : missing).fill("0"), ...tail].map((w) =>
    Number.parseInt(w, 16)
  );
}

function placeOfName(host: string): Place {
  if (/(^|\.)localhost$/.test(host) || /^ip6-(localhost|loopback)$/.test(host)) return "loopback";
  return OWN_NAMES.test(host) || !host.includes(".") ? "private" : "public";
}
