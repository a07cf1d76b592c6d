import { lintScripts } from '../../lint/engine.ts';
import type { SqlParser } from '../../sql/parser.ts';
import { renderObjects } from '../../structure/render/structure.ts';
import { objectKeyOf } from '../../structure/structure.ts';
import { lintScriptOf } from '../checks/lint.ts';
import { scriptFromText } from '../files/source.ts';
import { ledgerKey } from '../options.ts';
import type { Replayed } from './replay.ts';
import { type DatabaseRows, renderRows } from './rows.ts';
import type { SquashOptions } from './squash.ts';

/** In which schema a baseline makes things. */
export interface BaselineTarget {
  /** The schema of the replay. */
  schema: string;
  /** Whether no name of it may be in the text, so that the baseline goes into any schema. */
  isRelocatable: boolean;
  /** The search_path of the runner, as SQL. */
  searchPath: string;
}

/**
 * The statements of a baseline.
 *
 * @returns undefined where the schema cannot be left out of the text
 */
export function renderBaselineBody(
  { structure, ofServer, computing, computed }: Replayed,
  rows: DatabaseRows,
  { schema, isRelocatable, searchPath }: BaselineTarget,
): string | undefined {
  const objects = structure.objects.filter(
    (object) => !computed.has(objectKeyOf(object)) && !computed.has(object.of ?? ''),
  );
  const made = renderObjects(objects, renderRows(rows)).map((block) =>
    block.replace(`create schema ${schema};`, '').trim(),
  );
  const path =
    structure.searchPath.length === 0 || isRelocatable
      ? []
      : [`set local search_path = ${[searchPath, ...structure.searchPath].join(', ')};`];
  const blocks = [
    ...['set local check_function_bodies = off;', ...path],
    ...ofServer.map((text) => `${text};`),
    ...made.filter((block) => block !== ''),
  ];
  const text = blocks.join('\n\n');
  const body = isRelocatable ? withoutSchema(text, schema, searchPath) : text;
  if (body === undefined) return undefined;
  const end = computing.map(
    (statement) => `\n-- Names what it makes when it runs.\n${statement};\n`,
  );
  return `${body}\n${end.join('')}`;
}

/** Takes a schema out of a text in which nothing else is called so. */
function withoutSchema(text: string, schema: string, searchPath: string): string | undefined {
  const names = searchPath.split(', ').map((name) => `'${name.replaceAll('"', '')}'`);
  const short = text
    .replaceAll(` SET search_path TO ${names.join(', ')}`, ' SET search_path FROM CURRENT')
    .replaceAll(` with schema ${schema}`, '')
    .replaceAll(`${schema}.`, '');
  return short.includes(schema) ? undefined : short;
}

/**
 * The text of a baseline: what lint would report of it was there before, and the reasons in the old files
 * are gone with them.
 */
export function judgeBaseline(
  { path, header, body }: { path: string; header: readonly string[]; body: string },
  { options, parser }: { options: SquashOptions; parser: SqlParser },
): string {
  const textOf = (ignored: readonly string[]) => `${[...header, ...ignored].join('\n')}\n\n${body}`;
  const { findings } = lintScripts(
    [lintScriptOf(scriptFromText(path, textOf([])), { isDown: false, isJudged: true })],
    {
      ...options.lint,
      searchPath: [ledgerKey(options).targetSchema, ...(options.searchPath ?? [])],
      parser,
      isHistoryWhole: true,
    },
  );
  const rules = findings.filter(({ severity }) => severity !== 'info').map(({ code }) => code);
  const told = [...new Set(rules)].sort();
  if (told.length === 0) return textOf([]);
  return textOf([
    `-- evdb: ignore ${told.join(', ')}: as it was in the migrations that this file replaces`,
  ]);
}
