import type { Finding } from '../finding.ts';
import type { PipelineReport } from '../report/pipeline.ts';
import { renderDiff, type Style } from '../report/table.ts';
import { sameCommand } from '../text/command-line.ts';
import { renderCount } from '../text/units.ts';
import type { GeneratedTypes } from './generate.ts';

/** What `evdb types --out` did or found; without a diff where there is nothing to compare with. */
export interface TypesFileResult extends Omit<GeneratedTypes, 'code'> {
  file: string;
  state: 'written' | 'unchanged' | 'same' | 'different' | 'missing';
  diff?: string;
}

const SOURCES = { live: 'the database', migrations: 'the migrations' };
const GIVE = { live: 'the database gives', migrations: 'the migrations give' };

/** As many lines of a diff as it takes to tell what it is about. */
const DIFF_LINES = 40;

/** One line, and under it the beginning of the diff where there is one. */
export function renderTypesFile(result: TypesFileResult, style: Style): string {
  const { file, state, counts, source, diff } = result;
  switch (state) {
    case 'written':
      return `${style.good('wrote')}  ${file}  ${style.dim(renderCounts(counts))}`;
    case 'unchanged':
      return `${file} is up to date: nothing to do`;
    case 'same':
      return `${file} is up to date with ${SOURCES[source]}`;
    case 'missing':
      return `${style.bad('missing')}  ${file}: write it with \`${writeCommand()}\``;
    default:
      return [
        `${style.bad('different')}  ${file} is not what ${GIVE[source]} (- file, + ${SOURCES[source]}):`,
        ...(diff ? [shorten(renderDiff(diff, style))] : []),
        `Write it again with \`${writeCommand()}\``,
      ].join('\n');
  }
}

function writeCommand(): string {
  return sameCommand('types', {}, { without: ['check', 'format', 'report', 'json'] });
}

function renderCounts(counts: GeneratedTypes['counts']): string {
  const { tables, views, enums, domains, composites, functions } = counts;
  const parts = [
    renderCount(tables, 'table'),
    renderCount(views, 'view'),
    renderCount(enums, 'enum'),
    renderCount(domains, 'domain'),
    renderCount(composites, 'composite type'),
    renderCount(functions, 'function'),
  ];
  return parts.filter((part) => !part.startsWith('0 ')).join(', ') || 'nothing in it';
}

function shorten(diff: string): string {
  const lines = diff.split('\n');
  if (lines.length <= DIFF_LINES) return diff;
  const more = renderCount(lines.length - DIFF_LINES, 'more line');
  return [...lines.slice(0, DIFF_LINES), `    … ${more}`].join('\n');
}

/** A file that is not what it should be is one finding. */
export function findingsOfTypes(result: TypesFileResult): Finding<{ diff?: string }>[] {
  const { file, state, source, diff } = result;
  if (state !== 'different' && state !== 'missing') return [];
  const message =
    state === 'missing' ? `${file} is missing` : `${file} is not what ${GIVE[source]}`;
  return [
    {
      ...{ code: 'types', severity: 'error', message, objects: [] },
      hint: `Write it again: ${writeCommand()}`,
      location: { file, line: 1 },
      fix: writeCommand(),
      ...(diff !== undefined && { details: { diff: shorten(diff) } }),
    },
  ];
}

/** The check of the file, as pipelines show it. */
export function pipelineOfTypes(result: TypesFileResult): PipelineReport {
  const { file } = result;
  const findings = findingsOfTypes(result).map((finding) => ({ ...finding, check: file }));
  return {
    command: 'types',
    checks: [{ name: file }],
    findings,
    summary: findings[0]?.message ?? `${file} is up to date`,
  };
}
