/** Versions and ranges as npm and JSR have them. Hyphen ranges (`1 - 2`) are not read. */

/** A version's parts. */
export interface Version {
  /** Major, minor, patch. */
  readonly numbers: readonly [number, number, number];
  /** What stands after the dash: `beta.1` is `["beta", "1"]`. */
  readonly pre: readonly string[];
}

/** Reads a whole version; undefined for anything else. */
export function parseVersion(text: string): Version | undefined {
  const match =
    /^(\d{1,15})\.(\d{1,15})\.(\d{1,15})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?$/
      .exec(text);
  if (!match) return undefined;
  return { numbers: [+match[1], +match[2], +match[3]], pre: match[4]?.split(".") ?? [] };
}

/** Negative where `a` comes before `b`. */
export function compareVersions(a: Version, b: Version): number {
  for (let i = 0; i < 3; i++) if (a.numbers[i] !== b.numbers[i]) return a.numbers[i] - b.numbers[i];
  if (a.pre.length === 0 || b.pre.length === 0) return b.pre.length - a.pre.length; // 1.0.0-x before 1.0.0
  for (let i = 0; i < Math.max(a.pre.length, b.pre.length); i++) {
    const [p, q] = [a.pre[i], b.pre[i]];
    if (p === q) continue;
    if (p === undefined || q === undefined) return p === undefined ? -1 : 1;
    const [m, n] = [p, q].map((t) => /^\d+$/.test(t));
    if (m !== n) return m ? -1 : 1; // numbers before words
    return m ? Number(p) - Number(q) : p < q ? -1 : 1;
  }
  return 0;
}

/** The highest version in a range; undefined where there is none, and null where the range cannot be read. */
export function highestVersion(versions: Iterable<string>, range: string): string | undefined | null {
  const sets = range.split("||").map((set) => comparatorsOf(set.trim()));
  if (sets.includes(undefined)) return null;
  let best: { text: string; version: Version } | undefined;
  for (const text of versions) {
    const version = parseVersion(text);
    if (!version || !sets.some((set) => holds(set!, version))) continue;
    if (!best || compareVersions(version, best.version) > 0) best = { text, version };
  }
  return best?.text;
}

// ---------------------------------------------------------------------------

interface Comparator {
  readonly op: ">=" | ">" | "<" | "<=";
  readonly version: Version;
}

function holds(set: readonly Comparator[], version: Version): boolean {
  // A version before a release is meant only where the range names one of the same release.
  const meant = version.pre.length === 0 ||
    set.some((c) => c.version.pre.length > 0 && c.version.numbers.join() === version.numbers.join());
  return meant && set.every(({ op, version: v }) => {
    const order = compareVersions(version, v);
    return op === ">=" ? order >= 0 : op === ">" ? order > 0 : op === "<" ? order < 0 : order <= 0;
  });
}

function comparatorsOf(set: string): Comparator[] | undefined {
  const all: Comparator[] = [];
  for (const part of set.replaceAll(/([<>=~^])\s+/g, "$1").split(/\s+/).filter((p) => p !== "")) {
    const read = comparatorOf(part);
    if (!read) return undefined;
    for (const r of read) all.push(r);
  }
  return all;
}

function comparatorOf(text: string): Comparator[] | undefined {
  const match =
    /^(\^|~|>=|<=|>|<|=)?v?(\d{1,15}|[xX*])(?:\.(\d{1,15}|[xX*]))?(?:\.(\d{1,15}|[xX*]))?(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/
      .exec(text);
  if (!match) return undefined;
  const [, op = "", ...given] = match;
  const parts = given.slice(0, 3).map((p) => p === undefined || /[xX*]/.test(p) ? undefined : Number(p));
  const known = parts.includes(undefined) ? parts.indexOf(undefined) : 3; // how many numbers are said
  const at = (numbers: readonly (number | undefined)[], pre = ""): Version | undefined =>
    parseVersion(numbers.map((n) => n ?? 0).join(".") + pre);
  const low = at(parts.map((p, i) => i < known ? p : 0), known === 3 ? match[5] ?? "" : "");
  if (!low) return undefined;
  /** The first version that has another number at a place. */
  const after = (place: number) => at(low.numbers.map((n, i) => i < place ? n : i === place ? n + 1 : 0))!;
  const from: Comparator = { op: ">=", version: low };
  if (known === 0) return op === "<" || op === ">" ? undefined : [];
  switch (op) {
    case "^": {
      const first = low.numbers.findIndex((n) => n > 0);
      const place = first >= 0 && first < known ? first : known - 1;
      return [from, { op: "<", version: after(place) }];
    }
    case "~":
      return [from, { op: "<", version: after(Math.min(1, known - 1)) }];
    case ">=":
    case "<":
      return [{ op, version: low }];
    case ">":
      return known === 3 ? [{ op, version: low }] : [{ op: ">=", version: after(known - 1) }];
    case "<=":
      return known === 3 ? [{ op, version: low }] : [{ op: "<", version: after(known - 1) }];
    default:
      return known === 3
        ? [from, { op: "<=", version: low }]
        : [from, { op: "<", version: after(known - 1) }];
  }
}
