import type { Command } from "commander";
import { resolve } from "@std/path";
import { raise } from "../errors.ts";
import { drawTable, parsePlace } from "../kernelize/mod.ts";
import { visibleLine } from "../visible.ts";
import {
  checkClosed,
  inspectReference,
  isElsewhere,
  isTrustedByUser,
  kernelResolver,
  lockKey,
  readLock,
  userSettings,
} from "../registry/mod.ts";

interface Options {
  lock?: string;
  offline?: boolean;
}

/** Adds the commands `lock`, `versions` and `verify`. */
export function registerRegistry(program: Command): void {
  const lockOption = ["--lock <FILE>", "the lock", "kernels.lock"] as const;
  program.command("lock").description("pin kernel references in kernels.lock")
    .argument("<REF...>", "https://…/kernel.js:Name, jsr:@scope/name@^1:Name, npm:name@1:Name")
    .option(...lockOption)
    .option(
      "--trust",
      "say that these may run although their publishers are not in your list; your configuration keeps it",
    )
    .action(async (refs: string[], options: Options & { trust?: boolean }) => {
      // Locking imports the code too: what lies about itself is not locked.
      const settings = await userSettings();
      const trust = options.trust || settings.trust;
      const resolver = kernelResolver({ ...settings, trust, lock: options.lock, update: true });
      for (const ref of refs) {
        if (!isElsewhere(parsePlace(ref))) {
          raise("KW-REF-LOCK", `${ref} is on this machine: there is nothing to lock`, "Leave it out.");
        }
        await resolver(ref, undefined);
      }
      const locked = await readLock(options.lock!);
      for (const ref of refs) {
        const entry = locked.get(lockKey(ref));
        console.log(visibleLine(`${entry?.version}${entry?.trusted ? "  trusted by you" : ""}  ${ref}`));
      }
      console.log(`${refs.length} locked in ${resolve(options.lock!)}`);
    });
  program.command("versions").description("show the locked versions")
    .option(...lockOption)
    .action(async ({ lock }: Options) => {
      const entries = [...await readLock(lock!)];
      if (entries.length === 0) return console.log(`${resolve(lock!)} has no entries`);
      const rows: string[][] = [];
      for (const [where, { version, manifest, trusted }] of entries) {
        const yours = trusted && await isTrustedByUser(manifest);
        const says = yours ? "trusted" : trusted ? "trusted by another" : "";
        rows.push([version, manifest.slice(0, 12), says, where].map(visibleLine));
      }
      console.log(drawTable(rows));
    });
  program.command("verify").description("check a bundle's digests, or those of all that is locked")
    .argument("[REF]", "a folder with a bundle, or a reference; defaults to all of the lock")
    .option(...lockOption)
    .option("--offline", "use the cache only")
    .action(async (ref: string | undefined, { lock, offline }: Options) => {
      const refs = ref ? [ref] : [...(await readLock(lock!)).keys()];
      if (refs.length === 0) {
        raise("KW-REF-LOCK", "There is nothing to verify", "Give a reference.", { file: lock });
      }
      const { registries } = await userSettings();
      for (const r of refs) {
        const { manifest, files, reaches } = await inspectReference(r, { lock, offline, registries });
        checkClosed(reaches, r);
        console.log(visibleLine(`ok  ${manifest.name}@${manifest.version}  ${files.size} files  ${r}`));
      }
    });
}
