/** Draws a kernel report as one self-contained HTML page: no script, no request, readable when printed. */
import { largestOf } from "../extremes.ts";
import { type Difference, formatNumber, type KernelReport, type SiteReport } from "../kernelize/mod.ts";

/** What the page says besides the report. */
export interface PageFacts {
  /** The model's folder or name. */
  readonly model: string;
  /** The model's type and size, in words. */
  readonly about: string;
  /** The adapter. */
  readonly adapter: string;
  /** The module tree: one line a module, parents before children. */
  readonly tree: readonly { readonly path: string; readonly className: string; readonly depth: number }[];
}

/** The page. */
export function reportPage(report: KernelReport, facts: PageFacts): string {
  const swapped = report.swapped;
  const timed = swapped.filter((s) => s.ms);
  const total = (pick: (s: SiteReport) => number) => timed.reduce((n, s) => n + pick(s), 0);
  const [before, after] = [total((s) => s.ms!.before), total((s) => s.ms!.after)];
  const failed = swapped.filter((s) => s.differences?.some((d) => !d.passed));
  const cards = [
    card("sites swapped", `${swapped.length} of ${report.sites.length}`),
    card("verified", failed.length === 0 ? "all agree" : `${failed.length} differ`, failed.length > 0),
    report.endToEnd
      ? card(
        "argmax equal",
        `${report.endToEnd.sameArgmax} of ${report.endToEnd.positions}`,
        report.endToEnd.sameArgmax < report.endToEnd.positions,
      )
      : "",
    report.endToEnd ? card("largest change of a logit", formatNumber(report.endToEnd.absolute)) : "",
    timed.length > 0 ? card("GPU time of the sites", `${(after / before).toFixed(2)}×`, after > before) : "",
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Kernels in ${escape(facts.model)}</title><style>${STYLE}</style></head><body>
<header><h1>${escape(facts.model)}</h1><p>${escape(facts.about)} · ${escape(facts.adapter)}</p></header>
<section class="cards">${cards.join("")}</section>
${
    timed.length > 0
      ? `<section><h2>GPU time by site</h2><p class="hint">Grey is the original, colour the kernel; both on the same activations, medians by timestamp queries.</p>${
        timeBars(timed)
      }</section>`
      : ""
  }
<section><h2>Differences by site</h2><p class="hint">How much of what is allowed each kernel uses up, on real activations, with outliers of ±800, and on tiny values. Hover for figures.</p>${
    strips(swapped)
  }</section>
<section><h2>Sites</h2>${siteTable(report)}</section>
${
    report.notes.length > 0
      ? `<section><h2>Notes</h2><ul>${
        report.notes.map((n) => `<li>${escape(n)}</li>`).join("")
      }</ul></section>`
      : ""
  }
<section><h2>Module tree</h2>${treeOf(report, facts)}</section>
</body></html>
`;
}

// ---------------------------------------------------------------------------

const STYLE = `
:root{--ink:#1c2430;--soft:#667085;--line:#e3e7ee;--paper:#fff;--ground:#f6f7f9;--old:#b8c0cc;--new:#2f6fed;--good:#12805c;--bad:#c2362b}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#98a2b3;--line:#2b3340;--paper:#161b22;--ground:#0e1217;--old:#566072;--new:#6ea0ff;--good:#4cc38a;--bad:#ff7b72}}
*{box-sizing:border-box}body{margin:0 auto;max-width:1080px;padding:32px 24px 64px;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{font-size:24px;margin:0;overflow-wrap:anywhere}h2{font-size:16px;margin:0 0 4px}header p,.hint{color:var(--soft);margin:4px 0 12px}
section{background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin-top:16px;overflow-x:auto}
.cards{display:flex;flex-wrap:wrap;gap:28px}.card b{display:block;font-size:22px;font-weight:650}.card span{color:var(--soft);font-size:13px}
.bad{color:var(--bad)}code,td.path,.tree,text{font:12.5px/1.5 ui-monospace,monospace}
table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:600;font-size:13px;color:var(--soft);border-bottom:1px solid var(--line);padding:4px 14px 6px 0;white-space:nowrap}
td{padding:5px 14px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}tr:last-child td{border-bottom:0}
.tree{white-space:pre;line-height:1.65}.tree .swap{background:color-mix(in srgb,var(--new) 14%,transparent);border-radius:4px;padding:1px 5px}.tree .kept{color:var(--soft)}
svg{display:block;max-width:100%}svg text{fill:var(--ink);font-size:12px}svg .soft{fill:var(--soft)}
details summary{cursor:pointer;color:var(--soft)}`;

function card(label: string, value: string, bad = false): string {
  return `<div class="card"><b${bad ? ' class="bad"' : ""}>${escape(value)}</b><span>${
    escape(label)
  }</span></div>`;
}

function timeBars(sites: readonly SiteReport[]): string {
  const [row, label, width, end] = [30, 330, 560, 130];
  const most = largestOf(sites.map((s) => Math.max(s.ms!.before, s.ms!.after)));
  const bars = sites.map((s, i) => {
    const { before, after } = s.ms!;
    const y = i * row + 4;
    const length = (ms: number) => Math.max(1, (ms / most) * width).toFixed(1);
    const ratio = after / before;
    return `<text x="${label - 10}" y="${y + 14}" text-anchor="end">${escape(shorten(s.path, 44))}</text>
<rect x="${label}" y="${y}" width="${length(before)}" height="9" rx="2" fill="var(--old)"><title>${
      before.toFixed(3)
    } ms</title></rect>
<rect x="${label}" y="${y + 11}" width="${length(after)}" height="9" rx="2" fill="${
      ratio > 1.02 ? "var(--bad)" : "var(--new)"
    }"><title>${after.toFixed(3)} ms</title></rect>
<text x="${label + width + 10}" y="${y + 14}" class="soft">${ratio.toFixed(2)}×  ${
      after.toFixed(2)
    } ms</text>`;
  });
  return `<svg viewBox="0 0 ${label + width + end} ${
    sites.length * row + 8
  }" role="img" aria-label="GPU time by site">${bars.join("")}</svg>`;
}

function strips(sites: readonly SiteReport[]): string {
  const kinds = ["real", "outliers", "tiny"] as const;
  const verified = sites.filter((s) => s.differences && s.differences.length > 0);
  if (verified.length === 0) return "<p>Not verified.</p>";
  const [left, cell, height] = [90, Math.max(10, Math.min(44, Math.floor(920 / verified.length))), 26];
  const cells = kinds.map((kind, row) =>
    `<text x="${left - 10}" y="${row * (height + 4) + 17}" text-anchor="end">${kind}</text>` +
    verified.map((s, i) => {
      const d = s.differences!.find((x) => x.inputs === kind);
      return `<rect x="${left + i * cell}" y="${row * (height + 4)}" width="${
        cell - 2
      }" height="${height}" rx="3" fill="${shade(d)}"><title>${escape(s.path)}: ${
        d ? explain(d) : "not run"
      }</title></rect>`;
    }).join("")
  );
  return `<svg viewBox="0 0 ${left + verified.length * cell} ${kinds.length * (height + 4)}" style="width:${
    left + verified.length * cell
  }px" role="img" aria-label="differences by site">${cells.join("")}</svg>`;
}

/** Green by how much of what is allowed is used up, on a logarithmic scale; red past it. */
function shade(d: Difference | undefined): string {
  if (!d) return "var(--line)";
  if (!d.passed) return "var(--bad)";
  const share = d.absolute <= 0 ? 0 : Math.max(0, 1 + Math.log10(d.absolute / d.allowed) / 3);
  return `color-mix(in srgb,var(--good) ${Math.round(25 + 75 * Math.min(1, share))}%,var(--paper))`;
}

function explain(d: Difference): string {
  const judged = d.kernelError === undefined
    ? ""
    : `; off float64 by ${formatNumber(d.kernelError)}, the original by ${formatNumber(d.originalError!)}`;
  return escape(
    `off by ${formatNumber(d.absolute)} (${formatNumber(d.ulp)} ulp) at element ${d.at}, ${
      formatNumber(d.allowed)
    } allowed${d.nan ? `, ${d.nan} not numbers` : ""}${judged}`,
  );
}

function siteTable(report: KernelReport): string {
  const rows = report.sites.map((s) => {
    const real = s.differences?.find((d) => d.inputs === "real");
    const conversions = s.conversions.length > 0
      ? `<details><summary>${s.conversions.length} conversion${
        s.conversions.length > 1 ? "s" : ""
      }</summary>${s.conversions.map((c) => `<code>${escape(c)}</code>`).join("<br>")}</details>`
      : "";
    const others = s.considered.filter((c) => !c.taken).map((c) =>
      `<br><span class="hint">${escape(c.kernel)}: ${escape(c.why)}</span>`
    ).join("");
    return `<tr><td class="path">${s.paths.map(escape).join("<br>")}</td><td>${
      escape(s.original.join(" + "))
    }</td>
<td>${
      s.kernel
        ? `<b>${escape(s.kernel)}</b>${s.version ? ` ${escape(s.version)}` : ""}`
        : "–"
    }${conversions}</td>
<td class="n">${real ? formatNumber(real.absolute) : "–"}</td><td class="n">${
      real?.kernelError === undefined
        ? "–"
        : `${formatNumber(real.kernelError)} (${formatNumber(real.originalError!)})`
    }</td>
<td class="n">${s.ms ? `${(s.ms.after / s.ms.before).toFixed(2)}×` : "–"}</td><td>${
      escape(s.kernel ? s.reason : `not swapped: ${s.reason}`)
    }${others}</td></tr>`;
  });
  return `<table><tr><th>site</th><th>original</th><th>kernel</th><th>max abs</th><th>off float64 (original)</th><th>time</th><th>reason</th></tr>${
    rows.join("")
  }</table>`;
}

function treeOf(report: KernelReport, facts: PageFacts): string {
  const bySite = new Map(
    report.sites.flatMap((s) => s.paths.map((p, i) => [p, { s, first: i === 0 }] as const)),
  );
  const lines = facts.tree.map(({ path, className, depth }) => {
    const name = path.split(".").at(-1) || "model";
    const hit = bySite.get(path);
    const text = `${escape(name)}  ${escape(className)}`;
    const indent = "  ".repeat(depth);
    if (!hit) return `${indent}${text}`;
    if (!hit.s.kernel) return `${indent}<span class="kept">${text}  kept: ${escape(hit.s.reason)}</span>`;
    return `${indent}<span class="swap">${text} → ${
      escape(hit.first ? hit.s.kernel : `part of ${hit.s.kernel}`)
    }</span>`;
  });
  return `<div class="tree">${lines.join("\n")}</div>`;
}

function shorten(path: string, most: number): string {
  return path.length <= most ? path : `…${path.slice(path.length - most + 1)}`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
