/** Answers as the registries of JSR and npm give them, for the tests' own server. @module */

type Files = Readonly<Record<string, Uint8Array<ArrayBuffer>>>;
const utf8 = (text: string) => new Uint8Array(new TextEncoder().encode(text));
const json = (value: unknown) => utf8(JSON.stringify(value));

async function digest(algorithm: "SHA-256" | "SHA-512", bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest(algorithm, bytes));
}

/** What a JSR registry serves for the versions of a package, by path. */
export async function jsrPackage(
  name: string,
  versions: Readonly<Record<string, { files: Files; yanked?: boolean }>>,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const served = new Map<string, Uint8Array<ArrayBuffer>>();
  const listed = Object.entries(versions).map(([v, { yanked }]) => [v, yanked ? { yanked } : {}]);
  const [scope, short] = name.slice(1).split("/");
  served.set(`${name}/meta.json`, json({ scope, name: short, versions: Object.fromEntries(listed) }));
  for (const [version, { files }] of Object.entries(versions)) {
    const manifest: Record<string, unknown> = {};
    for (const [path, bytes] of Object.entries(files)) {
      const hex = [...await digest("SHA-256", bytes)].map((b) => b.toString(16).padStart(2, "0")).join("");
      manifest[`/${path}`] = { size: bytes.length, checksum: `sha256-${hex}` };
      served.set(`${name}/${version}/${path}`, bytes);
    }
    served.set(`${name}/${version}_meta.json`, json({ manifest, exports: {} }));
  }
  return served;
}

/** What an npm registry serves for the versions of a package, by path. */
export async function npmPackage(
  base: string,
  name: string,
  versions: Readonly<Record<string, Files>>,
  latest: string,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const served = new Map<string, Uint8Array<ArrayBuffer>>();
  const listed: Record<string, unknown> = {};
  for (const [version, files] of Object.entries(versions)) {
    const path = `${name}/-/${name.split("/").at(-1)}-${version}.tgz`;
    const archive = await tarball(files);
    served.set(path, archive);
    const sha512 = btoa(String.fromCharCode(...await digest("SHA-512", archive)));
    listed[version] = { name, version, dist: { tarball: `${base}${path}`, integrity: `sha512-${sha512}` } };
  }
  served.set(name.replace("/", "%2f"), json({ name, "dist-tags": { latest }, versions: listed }));
  return served;
}

/** A gzipped archive of files in the folder `package`, and of what else is given as it is. */
export async function tarball(
  files: Files,
  more: Uint8Array = new Uint8Array(),
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (const [path, bytes] of Object.entries(files)) {
    const full = `package/${path}`;
    if (full.length > 100) {
      const line = (length: number): string => {
        const text = `${length} path=${full}\n`;
        return text.length === length ? text : line(text.length);
      };
      parts.push(...entry("PaxHeader", utf8(line(0)), "x"));
    }
    parts.push(...entry(full.slice(0, 100), bytes, "0"));
  }
  parts.push(new Uint8Array(more), new Uint8Array(1024));
  const stream = new Blob(parts).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function entry(name: string, bytes: Uint8Array<ArrayBuffer>, type: string): Uint8Array<ArrayBuffer>[] {
  const header = new Uint8Array(512);
  const put = (text: string, at: number) => header.set(utf8(text), at);
  put(name, 0);
  put("0000644\0", 100);
  put(bytes.length.toString(8).padStart(11, "0") + "\0", 124);
  put("        ", 148);
  put(type, 156);
  put("ustar\x0000", 257);
  put(header.reduce((a, b) => a + b, 0).toString(8).padStart(6, "0") + "\0 ", 148);
  return [header, bytes, new Uint8Array((512 - bytes.length % 512) % 512)];
}
