/** What `new-kernel` asks at a terminal: each answer is checked where it is given, not after the last one. */
import type { Readable, Writable } from "node:stream";
import { KernelwrightError, raise } from "../errors.ts";
import { visibleLine } from "../visible.ts";
import { LICENSES } from "./new_kernel/license.ts";
import { STAGES } from "./new_kernel/stages.ts";

/** What a kernel does to the modules. */
export type Role = "replaces" | "fuses" | "parallel" | "function";

/** Where questions are written and answers are typed; defaults to the process's own terminal. */
export interface Terminal {
  /** Keys. */
  readonly input: Readable;
  /** The screen. */
  readonly output: Writable;
}

/** Asks for the kernel's name. @throws KW-NEW-ARGUMENT when it is cancelled; so do all of these. */
export async function askName(check: (name: string) => void, at?: Terminal): Promise<string> {
  return answer(
    await (await prompts()).text({
      ...at,
      message: "What is the kernel called?",
      placeholder: "a class name, e.g. FastNorm",
      validate: (name) => problem(() => check(name?.trim() ?? "")),
    }),
  );
}

/** Asks what it does. */
export async function askRole(at?: Terminal): Promise<Role> {
  return answer<Role>(
    await (await prompts()).select({
      ...at,
      message: "What does it do?",
      options: [
        { value: "replaces", label: "replace one module" },
        { value: "fuses", label: "fuse a chain of modules", hint: "RMSNorm → LlamaMLP" },
        { value: "parallel", label: "fuse modules that are fed the same input", hint: "q, k, v" },
        { value: "function", label: "replace only a module's forward", hint: "no parameters of its own" },
      ],
    }),
  );
}

/** Asks which module. */
export async function askModule(at?: Terminal): Promise<string> {
  return answer(
    await (await prompts()).select({
      ...at,
      message: "Which module?",
      options: STAGES.map(({ module }) => ({ value: module, label: module })),
    }),
  );
}

/** Asks which modules, in what order; one may come twice. */
export async function askModules(
  role: Role,
  check: (modules: string) => void,
  at?: Terminal,
): Promise<string> {
  const names = STAGES.map((s) => s.module).join(", ");
  return answer(
    await (await prompts()).text({
      ...at,
      message: `Which modules, ${role === "fuses" ? "first to last" : "in order"}? There are ${names}.`,
      placeholder: role === "fuses" ? "e.g. RMSNorm, LlamaMLP" : "e.g. Linear, Linear, Linear",
      validate: (modules) => problem(() => check(modules ?? "")),
    }),
  );
}

/** Asks whose package it is. */
export async function askScope(check: (scope: string) => void, at?: Terminal): Promise<string> {
  return answer(
    await (await prompts()).text({
      ...at,
      message: "Whose package is it?",
      placeholder: "@me",
      defaultValue: "@me",
      validate: (scope) => scope ? problem(() => check(scope.trim())) : undefined,
    }),
  );
}

/** Asks for the license. */
export async function askLicense(at?: Terminal): Promise<string> {
  return answer<string>(
    await (await prompts()).select({
      ...at,
      message: "Under which license?",
      options: LICENSES.map((l) => ({
        value: l as string,
        label: l === "none" ? "none, or one of your own" : l,
      })),
    }),
  );
}

// ---------------------------------------------------------------------------

/** Loaded where it asks: it reads the environment as it loads. */
function prompts(): Promise<typeof import("@clack/prompts")> {
  return import("@clack/prompts");
}

/** What was answered; stops where the question was cancelled. */
function answer<T extends string>(value: T | symbol): T {
  if (typeof value === "symbol") raise("KW-NEW-ARGUMENT", "new-kernel was stopped", "Nothing was written.");
  return value.trim() as T;
}

/** What a check says, in a line. */
function problem(check: () => void): string | undefined {
  try {
    check();
  } catch (error) {
    if (!(error instanceof KernelwrightError)) throw error;
    const { what, fix } = error.diagnostic;
    return visibleLine(fix ? `${what}. ${fix}` : `${what}.`); // the prompt writes it itself, past main's guard
  }
}
