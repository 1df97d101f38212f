import type { Report, Row, Score, Subject } from "./subject.ts";

/** A subject's table as Markdown, which a terminal shows as well. */
export function render(subject: Subject, report: Report): string {
  const lines = [`## ${subject.name}`, "", subject.about, ""];
  if (report.rows?.length) lines.push(...table(scoreRows(report.rows)), "");
  if (report.facts?.length) lines.push(...table(report.facts), "");
  const notes = [...report.notes ?? [], ...scoreNotes(report.rows ?? [])];
  if (notes.length > 0) lines.push(...notes.map((n) => `- ${n}`), "");
  return lines.join("\n");
}

// ---------------------------------------------------------------------------

function scoreRows(rows: readonly Row[]): string[][] {
  const [baseline, ...others] = rows[0].scores.map((s) => s.name);
  return [
    ["case", `${baseline} ms`, ...others],
    ...rows.map((row) => [row.name, milliseconds(row.scores[0]), ...row.scores.slice(1).map(ratio)]),
  ];
}

function milliseconds(s: Score): string {
  return s.ms ? significant(s.ms.median) : "–";
}

function ratio(s: Score): string {
  if (!s.ratio) return s.ms ? `${significant(s.ms.median)} ms` : "–";
  const { min, median, max } = s.ratio;
  const wrong = s.note?.startsWith("WRONG") ? " wrong" : "";
  return `${median.toFixed(2)}× (${min.toFixed(2)}–${max.toFixed(2)})${wrong}`;
}

/** Why numbers are missing, each reason once. */
function scoreNotes(rows: readonly Row[]): string[] {
  const reasons = new Map<string, string[]>();
  for (const row of rows) {
    for (const s of row.scores) {
      if (s.note === undefined) continue;
      const key = `${s.name}: ${s.note}`;
      reasons.set(key, [...reasons.get(key) ?? [], row.name]);
    }
  }
  return [...reasons].map(([reason, cases]) =>
    cases.length === rows.length ? `${reason} (every case)` : `${reason} (${cases.join("; ")})`
  );
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, i) => Math.max(3, ...rows.map((r) => (r[i] ?? "").length)));
  const line = (r: readonly string[]) => `| ${widths.map((w, i) => (r[i] ?? "").padEnd(w)).join(" | ")} |`;
  return [line(rows[0]), `| ${widths.map((w) => "-".repeat(w)).join(" | ")} |`, ...rows.slice(1).map(line)];
}

function significant(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : ms >= 1 ? ms.toFixed(2) : ms.toFixed(4);
}
