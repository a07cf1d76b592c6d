import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** So many are applied in one round, because they take long enough. */
export const MANY = 1000;

const PAGE = fileURLToPath(new URL('../../docs/peers.md', import.meta.url));

/** Puts the tables into the page, each between its marks; the text around them stays. */
export function writePage(result) {
  const parts = {
    tools: renderTools(result),
    times: renderTimes(result),
    killed: renderKilled(result),
    reader: renderReader(result),
  };
  let text = readFileSync(PAGE, 'utf8');
  for (const [name, part] of Object.entries(parts)) {
    const [begin, end] = [`<!-- peers: ${name} -->`, `<!-- /peers: ${name} -->`];
    const [from, to] = [text.indexOf(begin), text.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`docs/peers.md has no place for ${name}`);
    text = `${text.slice(0, from)}${begin}\n\n${part}\n\n${text.slice(to)}`;
  }
  writeFileSync(PAGE, text);
  console.log('written: docs/peers.md');
}

function renderTools({ about, skipped, machine, serverVersion, rounds }) {
  const rows = about.map(({ name, version, way }) => [name, version, way]);
  const left = Object.entries(skipped).map(([name, reason]) => [name, '', `not run: ${reason}`]);
  const { cpu, cores, loadBefore } = machine;
  const busy =
    loadBefore > cores
      ? ` The machine was busy with other work: ${loadBefore.toFixed(1)} processes on ${cores} cores wanted to run before it began, so these times say little until the command is run on a quiet one.`
      : '';
  return `${renderMarkdown(['tool', 'version', 'how'], [...rows, ...left])}\n\nOn ${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, PostgreSQL ${serverVersion} with durable commits, ${cores} cores of ${cpu}; ${rounds > 1 ? `the median of ${rounds} rounds, of ${MANY.toLocaleString('en')} migrations one` : 'one round'}.${busy}`;
}

function renderTimes({ figures, counts }) {
  const [few] = counts;
  const most = counts.at(-1);
  const head = [
    'tool',
    ...counts.map((count) => `apply ${count.toLocaleString('en')}`),
    `nothing to do, ${most.toLocaleString('en')}`,
    ...[`status, ${few}`, `roll back ${few}`, 'start', 'memory'],
  ];
  const rows = Object.entries(figures).map(([name, one]) => [
    name,
    ...counts.map((count) => renderMs(one[count].up)),
    ...[renderMs(one[most].again), renderMs(one[few].status), renderMs(one[few].down)],
    ...[renderMs(one[few].version), one[most].peakMb ? `${Math.round(one[most].peakMb)} MB` : '—'],
  ]);
  return renderMarkdown(head, rows);
}

function renderMs(ms) {
  if (ms === undefined) return '—';
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function renderKilled({ figures }) {
  const rows = Object.entries(figures).map(([name, { killed, hurried }]) => [
    name,
    killed.left.length > 0 ? killed.left.map((table) => `\`${table}\``).join(', ') : 'nothing',
    String(killed.locks),
    `${(killed.letGoMs / 1000).toFixed(1)} s`,
    ...[renderAgain(killed), renderAgain(hurried)],
  ]);
  const head = [
    'tool',
    'tables left',
    'locks left',
    'server let go after',
    'run again then',
    'run again at once',
  ];
  return renderMarkdown(head, rows);
}

function renderAgain({ exitCode, isWhole, message, wallMs }) {
  if (exitCode === 0 && isWhole) return `everything applied, in ${renderMs(wallMs)}`;
  return `exit code ${exitCode}: ${code(message)}`;
}

function renderReader({ figures }) {
  const rows = Object.entries(figures).map(([name, { reader }]) => [
    name,
    reader.altered
      ? `${(reader.doneMs / 1000).toFixed(1)} s`
      : `not applied: ${code(reader.message)}`,
    renderMs(reader.longestMs),
  ]);
  return renderMarkdown(['tool', 'migration done after', 'longest query of the application'], rows);
}

function code(text) {
  return `\`${text.replaceAll('`', "'").replaceAll('|', '\\|')}\``;
}

/** With columns of one width, as the formatter wants them. */
function renderMarkdown(head, rows) {
  const widths = head.map((_, at) => Math.max(3, ...[head, ...rows].map((row) => row[at].length)));
  const lines = [head, widths.map((width) => '-'.repeat(width)), ...rows];
  const renderLine = (line) => line.map((cell, at) => cell.padEnd(widths[at])).join(' | ');
  return lines.map((line) => `| ${renderLine(line)} |`).join('\n');
}
