import { escapeXml } from '../text/markup.ts';
import type { ReportNote, Tone } from './columns.ts';
import { PAGE_SCRIPT } from './page-script.ts';
import { PAGE_STYLE } from './page-style.ts';
import { renderCopied } from './page-table.ts';

/** A number at the top of a page. */
export interface PageTile {
  count: string;
  label: string;
  tone?: Tone | undefined;
  /** The section that it leads to. */
  href?: string;
}

/** A part of a page with a title of its own. */
export interface PageSection {
  /** Letters, digits and hyphens. */
  id: string;
  title: string;
  /** One sentence that says it all; text. */
  lead: string;
  /** HTML. */
  body: string;
}

/** A page that needs nothing else: no file, no network. */
export interface Page {
  title: string;
  /** Below the title; text. */
  facts: readonly string[];
  tiles: readonly PageTile[];
  sections: readonly PageSection[];
  /** Who made it, at its end; text. */
  footer: string;
}

const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/** Puts a page together. */
export function renderPage({ title, facts, tiles, sections, footer }: Page): string {
  const links = sections.map(
    ({ id, title: name }) => `<li><a href="#${id}">${escapeXml(name)}</a></li>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<link rel="icon" href="data:,">
<title>${escapeXml(title)}</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<header>
<h1>${escapeXml(title)}</h1>
<ul class="facts">${facts.map((fact) => `<li>${escapeXml(fact)}</li>`).join('')}</ul>
<ul class="tiles">${tiles.map(renderTile).join('')}</ul>
</header>
<nav aria-label="Sections"><ul>${links.join('')}</ul></nav>
<main>
${sections.map(renderSection).join('\n')}
</main>
<footer>${escapeXml(footer)}</footer>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`;
}

function renderTile({ count, label, tone, href }: PageTile): string {
  const text = `<b>${escapeXml(count)}</b> <span>${escapeXml(label)}</span>`;
  const inner = href === undefined ? text : `<a href="#${href}">${text}</a>`;
  return `<li${tone === undefined ? '' : ` class="${tone}"`}>${inner}</li>`;
}

function renderSection({ id, title, lead, body }: PageSection): string {
  const said = lead === '' ? '' : `<p class="lead">${escapeXml(lead)}</p>`;
  return `<section id="${id}" aria-labelledby="${id}-heading"><h2 id="${id}-heading">${escapeXml(title)}</h2>${said}${body}</section>`;
}

const LEVELS: Record<ReportNote['level'], string> = {
  info: 'Note',
  warning: 'Warning',
  unknown: 'Unknown',
};

/** Text of a message; what stands in backticks is code. */
function renderText(text: string): string {
  return escapeXml(text).replace(/`([^`]+)`/g, '<code>$1</code>');
}

/** What one should know before one believes a section. */
export function renderPageNotes(notes: readonly ReportNote[]): string {
  return notes
    .map(({ level, text, hint }) => {
      const advice = hint === undefined ? '' : ` <span class="hint">${renderText(hint)}</span>`;
      return `<p class="remark ${level}"><b>${LEVELS[level]}:</b> ${renderText(text)}.${advice}</p>`;
    })
    .join('');
}

/** One thing to do: what is wrong, how bad it is, and what mends it. */
export interface PageFinding {
  message: string;
  hint?: string | undefined;
  fix?: string | undefined;
}

/** Findings of one kind: the first is in its line, and all of them below it. */
export interface PageFindingGroup {
  name: string;
  /** Such as `critical`. */
  word: string;
  tone: Tone;
  findings: readonly PageFinding[];
}

/** So many findings of one kind are listed. */
const MOST_FINDINGS = 200;

/** Findings by their kind, each to open; with few kinds all are open. */
export function renderPageFindings(groups: readonly PageFindingGroup[]): string {
  const isOpen = groups.length <= 3;
  return groups
    .map(({ name, word, tone, findings }) => {
      const [first] = findings;
      const more = findings.length - 1;
      const said = renderText(first?.message ?? '');
      const rest =
        more > 0 ? ` <span class="count">and ${more.toLocaleString('en')} more</span>` : '';
      const items = findings.slice(0, MOST_FINDINGS).map(renderFinding);
      const hidden = findings.length - items.length;
      const end = hidden > 0 ? `<li>… and ${hidden.toLocaleString('en')} more</li>` : '';
      return `<details class="finding ${tone}"${isOpen ? ' open' : ''}><summary><span class="badge">${escapeXml(word)}</span> <b>${escapeXml(name)}</b> <span class="said">${said}${rest}</span></summary><ul>${items.join('')}${end}</ul></details>`;
    })
    .join('');
}

function renderFinding({ message, hint, fix }: PageFinding): string {
  return [
    `<li><p>${renderText(message)}</p>`,
    hint === undefined ? '' : `<p class="hint">${renderText(hint)}</p>`,
    fix === undefined ? '' : `<p>${renderCopied(fix)}</p>`,
    '</li>',
  ].join('');
}
