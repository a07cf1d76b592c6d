const LIGHT = `--paper: #ffffff; --card: #ffffff; --shade: #f3f5f9; --edge: #d5dbe5; --ink: #18202e; --soft: #566176; --link: #1b5cc4;
  --good: #1a7f4b; --warning: #8a5a00; --critical: #b3261e; --warning-fill: #d99a1c; --critical-fill: #d23f36;
  --warning-shade: #fdf4e0; --critical-shade: #fdecea; --unknown-shade: #eef1f6;
  --s0: #3273dc; --s1: #e08a2b; --s2: #2c9c6a; --s3: #9a5cc6; --s4: #d6608f; --s5: #3aa3b8; --s6: #8a93a3`;

const DARK = `--paper: #12161d; --card: #191f29; --shade: #222a36; --edge: #38424f; --ink: #e8ecf2; --soft: #a3aebf; --link: #8ab4ff;
  --good: #5fd08f; --warning: #f0c060; --critical: #ff9189; --warning-fill: #c8902c; --critical-fill: #e0564d;
  --warning-shade: #2e2717; --critical-shade: #341d1c; --unknown-shade: #222a36;
  --s0: #6b9ff2; --s1: #e5a254; --s2: #53bd8c; --s3: #b98be0; --s4: #e588ac; --s5: #62bfd1; --s6: #8d97a8`;

const SERIES = [0, 1, 2, 3, 4, 5, 6]
  .map((at) => `.s${at} { fill: var(--s${at}); background: var(--s${at}) }`)
  .join('\n');

/** How a page looks: light, dark, printed, and on a phone. */
export const PAGE_STYLE = `
:root { ${LIGHT} }
@media screen and (prefers-color-scheme: dark) { :root { ${DARK} } }
* { box-sizing: border-box }
html { scroll-padding-top: 56px }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
header, nav ul, main, footer { max-width: 1160px; margin: 0 auto; padding: 0 24px }
header { padding-top: 24px }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere }
h2 { font-size: 20px; margin: 0 0 4px }
h3 { font-size: 15px; margin: 0 }
a { color: var(--link) }
ul { list-style: none; margin: 0; padding: 0 }
.facts { display: flex; flex-wrap: wrap; color: var(--soft); font-size: 14px }
.facts { gap: 0 18px }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0 }
.tiles li { flex: 1 1 120px; border: 1px solid var(--edge); border-radius: 8px; background: var(--card) }
.tiles a, .tiles li > b { text-decoration: none; color: inherit }
.tiles a, .tiles li:not(:has(a)) { display: block; padding: 8px 14px }
.tiles b { display: block; font-size: 22px; line-height: 1.25; font-variant-numeric: tabular-nums }
.tiles span { color: var(--soft); font-size: 13px }
.tiles .critical { background: var(--critical-shade); border-color: var(--critical-fill) }
.tiles .critical b { color: var(--critical) }
.tiles .warning { background: var(--warning-shade); border-color: var(--warning-fill) }
.tiles .warning b { color: var(--warning) }
.tiles .good b { color: var(--good) }
nav { position: sticky; top: 0; z-index: 2; background: var(--paper); border-block: 1px solid var(--edge) }
nav ul { display: flex; flex-wrap: wrap; gap: 2px 18px; padding-block: 8px; font-size: 14px }
nav a { text-decoration: none }
nav a:hover { text-decoration: underline }
section { padding: 24px 0 8px; border-bottom: 1px solid var(--edge) }
section:last-child { border-bottom: 0 }
.lead { margin: 0 0 12px; color: var(--soft) }
.remark { margin: 8px 0; padding: 6px 12px; border-left: 3px solid var(--edge); background: var(--unknown-shade); font-size: 14px; overflow-wrap: anywhere }
.remark.warning { border-color: var(--warning-fill); background: var(--warning-shade) }
.remark.unknown { border-color: var(--s0) }
.hint { color: var(--soft); font-size: 14px }
.finding { border: 1px solid var(--edge); border-left: 4px solid var(--soft); border-radius: 6px; margin: 6px 0; background: var(--card) }
.finding.critical { border-left-color: var(--critical-fill) }
.finding.warning { border-left-color: var(--warning-fill) }
.finding summary { padding: 6px 12px 6px 4px; cursor: pointer; list-style-position: outside; margin-left: 24px; overflow-wrap: anywhere }
.finding ul { padding: 0 14px 8px 30px }
.finding[open] .said { display: none }
.finding li + li { border-top: 1px solid var(--edge) }
.finding p { margin: 6px 0; overflow-wrap: anywhere }
.badge { display: inline-block; min-width: 68px; padding: 0 8px; border-radius: 10px; font-size: 12px; font-weight: 600; text-align: center; background: var(--unknown-shade) }
.critical .badge { background: var(--critical-shade); color: var(--critical) }
.warning .badge { background: var(--warning-shade); color: var(--warning) }
.count { color: var(--soft); font-weight: 400 }
code { font: 13px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere }
.copied { display: flex; gap: 8px; align-items: start; justify-content: space-between }
.copied code { background: var(--shade); border-radius: 4px; padding: 2px 6px; min-width: 0 }
button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--edge); border-radius: 5px; cursor: pointer }
.copy { font-size: 12px; padding: 1px 8px; flex: none }
.table { margin: 16px 0 }
.folded { margin: 4px 0 16px }
.folded > summary, .all > summary { cursor: pointer; color: var(--link); font-size: 14px }
.folded .table { margin: 8px 0 }
.tools { display: flex; flex-wrap: wrap; gap: 6px 16px; align-items: baseline; margin-bottom: 6px }
.tools label { margin-left: auto; font-size: 13px; color: var(--soft) }
input { font: inherit; font-size: 14px; color: var(--ink); background: var(--card); border: 1px solid var(--edge); border-radius: 5px; padding: 2px 8px; width: 180px }
.found { font-size: 13px; color: var(--soft) }
.scroll { overflow: auto; max-height: 470px; border: 1px solid var(--edge); border-radius: 6px }
table { border-collapse: collapse; width: 100%; font-size: 13.5px }
th { position: sticky; top: 0; background: var(--shade); text-align: left; white-space: nowrap; z-index: 1 }
th button { background: none; border: 0; border-radius: 0; padding: 5px 10px; font-weight: 600; width: 100%; text-align: inherit }
th button::after { content: "↕"; color: var(--soft); opacity: .45; margin-left: 5px; font-weight: 400 }
th[aria-sort=ascending] button::after { content: "↑"; opacity: 1 }
th[aria-sort=descending] button::after { content: "↓"; opacity: 1 }
td { padding: 4px 10px; border-top: 1px solid var(--edge); vertical-align: top; overflow-wrap: break-word; max-width: 460px }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; min-width: 0 }
td.time { white-space: nowrap }
td.long { min-width: 300px }
td:has(.copied) { min-width: 260px }
td.muted { color: var(--soft) }
td.good { color: var(--good) }
td.warning { color: var(--warning) }
td.critical { color: var(--critical); font-weight: 600 }
.more { margin: 6px 0 }
.more button { padding: 3px 12px; font-size: 13.5px }
.printed { display: none }
figure { margin: 16px 0 }
figcaption { font-weight: 600 }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 13px; color: var(--soft) }
.swatch { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 6px }
svg { display: block; width: 100%; max-width: 1112px; height: auto; margin-top: 8px; font-size: 13px; border-radius: 4px }
svg.narrow { display: none }
svg text { fill: var(--ink) }
svg .axis { fill: var(--soft); font-size: 12px }
svg .note { fill: var(--ink); font-size: 12px }
${SERIES}
svg .critical { fill: var(--critical-fill) }
svg .warning { fill: var(--warning-fill) }
svg .muted { fill: var(--s6) }
svg .grid { stroke: var(--edge); stroke-width: 1; stroke-dasharray: 2 3 }
svg .base { stroke: var(--soft) }
svg .limit { stroke: var(--critical-fill); stroke-width: 1.5; stroke-dasharray: 5 3 }
svg .line { fill: none; stroke: var(--s0); stroke-width: 2 }
svg .area { fill: var(--s0); opacity: .15 }
svg .dot { stroke: var(--paper); stroke-width: 1 }
svg .dot.critical { stroke: var(--critical-fill) }
svg .track { fill: var(--shade) }
svg .hit { fill: transparent }
svg .mark.on .hit, svg .mark:hover .hit { fill: var(--shade) }
svg .mark.on text { font-weight: 600 }
svg .mark.on .dot, svg .mark.on rect:not(.hit, .track) { stroke: var(--ink); stroke-width: 1.5 }
.readout { min-height: 1.5em; margin: 2px 0 0; font-size: 13px; color: var(--soft) }
a:focus-visible, button:focus-visible, summary:focus-visible, svg:focus-visible, .scroll:focus-visible, input:focus-visible { outline: 2px solid var(--link); outline-offset: 2px }
footer { padding-block: 16px 32px; color: var(--soft); font-size: 13px }
@media (max-width: 620px) {
  body { font-size: 14.5px }
  header, nav ul, main, footer { padding-inline: 14px }
  nav { position: static }
  h1 { font-size: 22px }
  .tiles { gap: 8px }
  .tiles li { flex-basis: 92px }
  .tools label { margin-left: 0 }
  svg.wide { display: none }
  svg.narrow { display: block; font-size: 12px }
  .finding ul { padding-left: 14px }
  .said { display: block }
  .copied { flex-wrap: wrap }
}
@media print {
  body, .lead, .hint, .remark, .legend { font-size: 11px }
  table, code { font-size: 9.5px }
  nav, .tools label, .copy, .more button, .readout { display: none }
  .printed { display: inline }
  .scroll { max-height: none; overflow: visible; border: 0 }
  th { position: static; white-space: normal }
  td, td.long, td:has(.copied) { min-width: 0; max-width: none; overflow-wrap: anywhere }
  td, th button { padding-inline: 4px }
  th button::after { content: "" }
  section, figure, tr { break-inside: avoid }
  section { break-inside: auto }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact }
}
`;
