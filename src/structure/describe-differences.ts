import { structuredPatch } from 'diff';
import type { PartDifference, StructureDifference } from './diff-structures.ts';

/** Longer values of objects that are there or gone as a whole are cut. */
const SUMMARY_LENGTH = 120;

/**
 * Says differences in lines that begin as those of a diff do: `+` for what was added, `-` for what
 * was removed, `~` for what changed, and under that its parts. Pure.
 *
 * @example
 * describeDifferences(diffStructures(a, b)) // ['+ column public.users.phone: text']
 */
export function describeDifferences(differences: readonly StructureDifference[]): string[] {
  return differences.flatMap((difference) => {
    const { kind, object, change, parts } = difference;
    if (change === 'changed') return [`~ ${kind} ${object}`, ...parts.flatMap(describePart)];
    const summary = summarise(difference);
    const said = summary === '' ? '' : `: ${summary}`;
    return [`${change === 'added' ? '+' : '-'} ${kind} ${object}${said}`];
  });
}

/** What one wants to know at once of an object that is new or gone. */
function summarise({ kind, parts, change }: StructureDifference): string {
  const said = new Map(
    parts.map(({ part, before, after }) => [part, (change === 'added' ? after : before) ?? '']),
  );
  const words =
    kind === 'column' || kind === 'domain'
      ? [
          said.get('type'),
          said.has('default') && `default ${said.get('default')}`,
          said.has('generated') && `generated ${said.get('generated')}`,
          said.has('identity') && `generated ${said.get('identity')} as identity`,
          said.has('not null') && 'not null',
        ]
      : [said.get('definition') ?? said.get('labels') ?? said.get('columns') ?? said.get('grants')];
  const text = words.filter(Boolean).join(' ').replaceAll(/\s+/g, ' ').trim();
  return text.length > SUMMARY_LENGTH ? `${text.slice(0, SUMMARY_LENGTH)} …` : text;
}

function describePart({ part, before, after }: PartDifference): string[] {
  const isLong = `${before ?? ''}${after ?? ''}`.includes('\n');
  if (isLong && part === 'definition') return [`  ${part}:`, ...changedLines(before, after)];
  return [
    ...(before === undefined ? [] : linesOf(before).map((line) => `-   ${part}: ${line}`)),
    ...(after === undefined ? [] : linesOf(after).map((line) => `+   ${part}: ${line}`)),
  ].filter((line, index, lines) => !isOnBothSides(line, index, lines));
}

const linesOf = (value: string): string[] => value.split('\n');

/** Of a list of privileges only those that one side has. */
function isOnBothSides(line: string, _index: number, lines: string[]): boolean {
  return lines.includes((line.startsWith('-') ? '+' : '-') + line.slice(1));
}

function changedLines(before = '', after = ''): string[] {
  const { hunks } = structuredPatch('', '', before, after, '', '', { context: 2 });
  return hunks
    .flatMap(({ lines }) => lines)
    .filter((line) => !line.startsWith('\\'))
    .map((line) => `${line[0]}     ${line.slice(1)}`);
}
