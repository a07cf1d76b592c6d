import type { Node } from '@pgsql/types';
import { codeOf } from '../../connection/connection-error.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { loadSqlParser } from '../../sql/parser.ts';
import { asKind, objectNameOf, relationNameOf, type WrittenName } from '../../sql/tree.ts';
import { commandLine } from '../../text/command-line.ts';
import { listRepeatables, readRepeatable } from '../files/repeatables.ts';
import { scriptFromText } from '../files/source.ts';
import { bindPlaceholders, bindVariables, statementsOf } from '../files/variables.ts';
import { type RepeatableText, readRepeatableTexts } from '../ledger/repeatable-texts.ts';
import type { RepeatableRow } from '../ledger/repeatables.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import type { MigrationPlanWarning } from '../progress.ts';
import { describeMade, dropMadeSql, type MadeObject, madeKey } from '../repeatable/objects.ts';
import { readRepeatableContents } from '../repeatable/statements.ts';
import { fullName } from './plan.ts';
import type { MigrationStep } from './prepare.ts';
import {
  makeStep,
  planRepeatables,
  type RepeatableStep,
  type RepeatablesPlan,
} from './prepare-repeatables.ts';
import type { Standing } from './read.ts';

/** What a run does about repeatables: those that follow an `up`, the way back of one, or what a `down` takes away. */
export function planRepeatableRun(
  session: Session,
  options: MigrateOptions & { repeatable?: string | undefined },
  run: { standing: Standing; steps: readonly MigrationStep[]; isPartial: boolean },
): Promise<RepeatablesPlan> {
  const { standing, steps } = run;
  if (options.repeatable !== undefined) {
    return planRepeatableBack(session, options, standing, options.repeatable);
  }
  return steps.some(({ direction }) => direction === 'down')
    ? warnOfNeeded(steps, standing, options)
    : planUp(session, options, run);
}

async function planUp(
  session: Session,
  options: MigrateOptions,
  run: { standing: Standing; isPartial: boolean },
): Promise<RepeatablesPlan> {
  const plan = await planRepeatables(session, options, run);
  const left = await warnOfLeft(session, options, plan.steps, run.standing);
  return { ...plan, warnings: [...plan.warnings, ...left] };
}

/** Says what an earlier text of a file made, and no file makes any more: it stays. */
async function warnOfLeft(
  session: Session,
  options: MigrateOptions,
  steps: readonly RepeatableStep[],
  { repeatables }: Standing,
): Promise<MigrationPlanWarning[]> {
  const changed = new Set(repeatables.flatMap(({ name, row }) => (row ? [name] : [])));
  const parts = steps.flatMap((step) => step.repeatables);
  const names = parts.flatMap(({ name }) => (changed.has(name) ? [name] : []));
  if (names.length === 0) return [];
  const { targetSchema } = ledgerKey(options);
  const keyOf = (made: MadeObject) => madeKey(made, targetSchema);
  const known = new Set(parts.flatMap(({ makes, drops }) => [...makes, ...drops]).map(keyOf));
  const texts = await readTextsIfAllowed(session, options, names);
  const warnings: MigrationPlanWarning[] = [];
  for (const name of names) {
    const before = texts.find((one) => one.name === name);
    for (const made of await readMakes(before?.text, options)) {
      if (known.has(keyOf(made))) continue;
      const what = describeMade(made);
      const drop = `drop ${made.kind} if exists ${what.slice(made.kind.length + 1)};`;
      const message = `repeatable/${name} no longer makes ${what}, which stays; to drop it, write into the file: ${drop}`;
      warnings.push({ code: 'NO_LONGER_MADE', message });
    }
  }
  return warnings;
}

/** Only the owner of the ledger may; a plan that others make goes without. */
async function readTextsIfAllowed(
  session: Session,
  options: MigrateOptions,
  names: readonly string[],
): Promise<RepeatableText[]> {
  try {
    return await readRepeatableTexts(session, ledgerKey(options), names);
  } catch (error) {
    if (codeOf(error) === '42501') return [];
    throw error;
  }
}

/**
 * Prepares the way back of one repeatable: the text that it had before, or, where it had none or its file is
 * gone, a drop of what it made. Both come from the ledger, so no file is needed.
 *
 * @param wanted its name, also as `repeatable/active_users.sql`
 * @throws {EvdbError} UNKNOWN_VERSION where it is not applied, MISSING_DOWN where the ledger has no text
 */
async function planRepeatableBack(
  session: Session,
  options: MigrateOptions,
  { ledger, repeatables }: Standing,
  wanted: string,
): Promise<RepeatablesPlan> {
  const name = wanted.replace(/^(?:.*[/\\])?repeatable[/\\]/, '').replace(/\.sql$/, '');
  const row = ledger.repeatables.find((one) => one.name === name);
  if (row === undefined) throw notApplied(name, ledger.repeatables);
  const texts = await readRepeatableTexts(session, ledgerKey(options), [name]);
  const current = texts.find(({ generation }) => generation === row.generation);
  const isGone = repeatables.some((one) => one.name === name && one.state === 'missing');
  const before = isGone ? undefined : texts.find(({ generation }) => generation < row.generation);
  if (!isGone && row.generation > 1 && before === undefined) throw notKept(name, 'before');
  const makes = await readMakes(current?.text, options);
  const script = scriptFromText(
    `ledger:repeatable/${name}.sql`,
    before === undefined
      ? dropText(name, current, makes, options)
      : await textBefore(name, before, makes, options),
  );
  const bound = bindVariables(script, options.variables);
  const { targetSchema } = ledgerKey(options);
  const statements = statementsOf(bound);
  const contents = readRepeatableContents(statements, await loadSqlParser(), targetSchema);
  const change = { kind: 'back' as const, to: before?.generation ?? null };
  const part = {
    name,
    script: bound,
    statements,
    makes: contents.makes,
    drops: contents.drops,
    change,
  };
  return { steps: [makeStep([part], 'down')], warnings: [] };
}

function notApplied(name: string, rows: readonly RepeatableRow[]): EvdbError {
  const known = rows.map((row) => row.name).join(', ');
  return new EvdbError('UNKNOWN_VERSION', `repeatable/${name} is not applied`, {
    hint: known === '' ? 'No repeatable is.' : `These are: ${known}.`,
    details: { name },
  });
}

function notKept(name: string, which: 'before' | 'now'): EvdbError {
  const what = which === 'now' ? 'the text of' : 'the text before of';
  return new EvdbError('MISSING_DOWN', `the ledger does not keep ${what} repeatable/${name}`, {
    hint: `It was too long to keep, or too long ago. Put the text into the file and run \`${commandLine('migrate up')}\`.`,
    details: { name },
  });
}

async function readMakes(
  text: string | null | undefined,
  options: MigrateOptions,
): Promise<MadeObject[]> {
  if (text == null) return [];
  const script = bindPlaceholders(scriptFromText('ledger', text), options.variables);
  const parser = await loadSqlParser();
  const { targetSchema } = ledgerKey(options);
  return readRepeatableContents(statementsOf(script), parser, targetSchema).makes;
}

/** It had no text before, or is to go: what it made goes. */
function dropText(
  name: string,
  current: RepeatableText | undefined,
  makes: readonly MadeObject[],
  options: MigrateOptions,
): string {
  if (current?.text == null) throw notKept(name, 'now');
  if (makes.length === 0) {
    throw new EvdbError('MISSING_DOWN', `repeatable/${name} makes nothing that could be dropped`, {
      hint: 'It only says something of what others made, and nobody knows what was so before. Write what is to hold into the file.',
      details: { name },
    });
  }
  return dropsOf(makes, options).join('\n');
}

/** The text before, and then a drop of what only the later one made. */
async function textBefore(
  name: string,
  { text }: RepeatableText,
  makes: readonly MadeObject[],
  options: MigrateOptions,
): Promise<string> {
  if (text === null) throw notKept(name, 'before');
  const { targetSchema } = ledgerKey(options);
  const kept = new Set((await readMakes(text, options)).map((made) => madeKey(made, targetSchema)));
  const gone = makes.filter((made) => !kept.has(madeKey(made, targetSchema)));
  return [text.trimEnd().replace(/([^;])$/, '$1\n;'), ...dropsOf(gone, options)].join('\n');
}

function dropsOf(makes: readonly MadeObject[], options: MigrateOptions): string[] {
  const { targetSchema } = ledgerKey(options);
  return [...makes].reverse().map((made) => `${dropMadeSql(made, targetSchema)};`);
}

/**
 * Says which repeatables need what a down script takes away: the server refuses to drop what a view reads, and
 * a function would fail later.
 */
async function warnOfNeeded(
  steps: readonly MigrationStep[],
  { repeatables }: Standing,
  options: MigrateOptions,
): Promise<RepeatablesPlan> {
  const applied = new Set(repeatables.flatMap(({ name, row }) => (row ? [name] : [])));
  const parser = await loadSqlParser();
  const { targetSchema } = ledgerKey(options);
  const users = listRepeatables(options.directory)
    .filter(({ name }) => applied.has(name))
    .map((file) => {
      const script = bindPlaceholders(readRepeatable(file), options.variables);
      return {
        name: file.name,
        ...readRepeatableContents(statementsOf(script), parser, targetSchema),
      };
    });
  // What a redo applies again took that away before, and the repeatables came behind it.
  const back = steps.filter(({ direction }) => direction === 'down');
  const warnings = back.flatMap((step) => {
    const taken = step.statements.flatMap(({ text }) => takenAway(parser.parse(text)));
    return users.flatMap(({ name, needs }) => {
      const one = taken.find((gone) =>
        needs.some(
          (need) =>
            need.name === gone.name &&
            (need.schema ?? targetSchema) === (gone.schema ?? targetSchema),
        ),
      );
      if (one === undefined) return [];
      const first = commandLine('migrate down', { repeatable: name });
      return [
        {
          code: 'NEEDED_BY_REPEATABLE' as const,
          version: step.version,
          message: `${fullName(step)} takes away what repeatable/${name} uses (${one.name}): roll that back first, with \`${first}\``,
        },
      ];
    });
  });
  return { steps: [], warnings };
}

/** What a statement drops, or takes a column from. */
function takenAway(tree: Node | null): WrittenName[] {
  const drop = asKind(tree ?? undefined, 'DropStmt');
  if (drop) return (drop.objects ?? []).flatMap((object) => objectNameOf(object) ?? []);
  const alter = asKind(tree ?? undefined, 'AlterTableStmt');
  const drops = (alter?.cmds ?? []).some(
    (node) => asKind(node, 'AlterTableCmd')?.subtype === 'AT_DropColumn',
  );
  return drops && alter?.relation ? [relationNameOf(alter.relation)] : [];
}
