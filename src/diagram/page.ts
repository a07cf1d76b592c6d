import { escapeXml } from '../text/markup.ts';
import type { PlacedDiagram } from './layout.ts';
import { DIAGRAM_STYLE, describe, renderDrawing } from './svg.ts';

/** A placed diagram as a page of its own: to search, to follow a table's lines, and as a list. */
export function renderPage(placed: PlacedDiagram, title: string): string {
  const list = placed.references
    .map(({ reference }) => describe(reference))
    .sort()
    .map((text) => `<li>${escapeXml(text)}</li>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${escapeXml(title)}</title>
<style>${DIAGRAM_STYLE}${PAGE_STYLE}
</style>
</head>
<body class="evdb-diagram">
<header>
<h1>${escapeXml(title)}</h1>
<label>Find <input type="search" id="find" placeholder="table or column"></label>
<label><input type="checkbox" id="fit"> fit the window</label>
<span id="found" role="status"></span>
</header>
<main id="drawing" tabindex="0" aria-label="Drawing">
${renderDrawing(placed, title).trimEnd()}
</main>
<details><summary>Foreign keys as a list</summary>
<ul>
${list.join('\n')}
</ul>
</details>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

const PAGE_STYLE = `
body { margin: 0; color: var(--ink) }
header { display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: center; padding: 10px 24px; border-bottom: 1px solid var(--edge); position: sticky; left: 0; top: 0; background: var(--paper); z-index: 1 }
h1 { font-size: 15px; margin: 0 }
input { font: inherit; color: inherit; background: var(--box); border: 1px solid var(--edge); border-radius: 4px; padding: 3px 6px }
main { overflow: auto; max-height: calc(100vh - 100px) }
details { padding: 12px 24px }
li { margin: 4px 0; overflow-wrap: anywhere }
.fitted svg { width: 100%; height: auto }
.table { cursor: pointer }
.chosen .table, .chosen .reference { opacity: .15 }
.chosen .near { opacity: 1 }
.chosen .reference.near { stroke-width: 2.4 }
@media print { header, details { display: none } main { max-height: none } main svg { width: 100%; height: auto } }`;

const SCRIPT = `
const drawing = document.getElementById('drawing');
const tables = [...drawing.querySelectorAll('.table')];
const references = [...drawing.querySelectorAll('.reference')];
let chosen;
function show(keys) {
  drawing.classList.toggle('chosen', keys !== undefined);
  for (const one of tables) one.classList.toggle('near', keys?.near.has(one.dataset.table) ?? false);
  for (const one of references) {
    one.classList.toggle('near', keys !== undefined && (keys.own.has(one.dataset.from) || keys.own.has(one.dataset.to)));
  }
}
function choose(key) {
  chosen = chosen === key ? undefined : key;
  if (chosen === undefined) return show();
  const near = new Set([chosen]);
  for (const { dataset } of references) {
    if (dataset.from === chosen) near.add(dataset.to);
    if (dataset.to === chosen) near.add(dataset.from);
  }
  show({ own: new Set([chosen]), near });
}
for (const one of tables) one.addEventListener('click', () => choose(one.dataset.table));
drawing.addEventListener('keydown', (event) => { if (event.key === 'Escape') { chosen = undefined; show(); } });
document.getElementById('fit').addEventListener('change', (event) => drawing.classList.toggle('fitted', event.target.checked));
document.getElementById('find').addEventListener('input', (event) => {
  const text = event.target.value.trim().toLowerCase();
  const found = tables.filter((one) => text !== '' && one.textContent.toLowerCase().includes(text));
  document.getElementById('found').textContent = text === '' ? '' : found.length + ' found';
  const keys = new Set(found.map((one) => one.dataset.table));
  show(text === '' ? undefined : { own: new Set(), near: keys });
  found[0]?.scrollIntoView({ block: 'center', inline: 'center' });
});
`;
