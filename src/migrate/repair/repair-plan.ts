import { EvdbError } from '../../errors.ts';
import type { Style } from '../../report/table.ts';
import { renderDiff } from '../../report/table.ts';
import { commandLine, sameCommand } from '../../text/command-line.ts';
import { renderCount } from '../../text/units.ts';
import { isVersion, parseVersion, type Version } from '../files/version.ts';
import type { LedgerRow } from '../ledger/ledger.ts';
import { type MigrationState, type MigrationStatus, repairCommand } from '../plan/compare.ts';
import { fullName } from '../plan/plan.ts';
import { oldFilesCommand, partialBaseline } from '../plan/replaced.ts';
import type { BaselineResult } from './baseline.ts';
import type { MigrateRepairResult, RepairedMigration } from './repair.ts';

/** What became of an interrupted statement, decided by a person who has looked. */
export type Verdict = 'done' | 'not-done';

/** Which row of the ledger to repair, and how. */
export interface RepairRequest {
  /** The one to repair; default: all that can be repaired without a decision. */
  version?: string | undefined;
  /** Drop the row of this version, so that it counts as never applied. */
  forget?: boolean | undefined;
  /**
   * What became of the interrupted statement of this version, decided by a person who has looked.
   */
  as?: Verdict | undefined;
}

/**
 * `accept`: the ledger takes over the file as it is; `forget`: it drops its row; `settle`: it
 * notes whether the interrupted statement is done.
 */
export type RepairAction = 'accept' | 'forget' | 'settle';

export interface Repair {
  status: MigrationStatus;
  action: RepairAction;
  /** What is not safe without somebody who knows says so in a sentence. */
  risk: string | null;
}

/** Something that a person has to decide. */
export interface PlannedRepairDecision {
  version: Version;
  label: string;
  name: string;
  state: MigrationState;
  message: string;
  /** Command lines to choose from, each with its meaning. */
  choices: { command: string; meaning: string }[];
}

export interface RepairSelection {
  repairs: Repair[];
  decisions: PlannedRepairDecision[];
}

/**
 * Decides what `repair` does. Pure. Without a version only what loses nothing is repaired, and the
 * rest is listed.
 *
 * @throws {EvdbError} USAGE, UNKNOWN_VERSION, INCOMPLETE_MIGRATION
 */
export function planRepair(
  statuses: MigrationStatus[],
  request: RepairRequest = {},
): RepairSelection {
  if (request.version === undefined) return planSafeRepairs(statuses, request);
  const status = findStatus(statuses, request.version);
  const action = actionFor(status, request);
  if (action === undefined) return { repairs: [], decisions: [] };
  return { repairs: [{ status, action, risk: riskOf(status, action) }], decisions: [] };
}

function planSafeRepairs(
  statuses: MigrationStatus[],
  { forget, as }: RepairRequest,
): RepairSelection {
  if (forget || as) {
    const flag = forget ? '--forget' : `--as ${as}`;
    throw new EvdbError('USAGE', `${flag} needs the version that is meant`, {
      hint: `For example: ${sameCommand('migrate repair', {}, { args: ['003'] })}`,
    });
  }
  return {
    repairs: statuses
      .filter(({ state }) => state === 'reworded')
      .map((status) => ({ status, action: 'accept', risk: null })),
    decisions: statuses.flatMap((status) => decisionAbout(status) ?? []),
  };
}

function findStatus(statuses: MigrationStatus[], wanted: string): MigrationStatus {
  if (!isVersion(wanted)) {
    throw new EvdbError('USAGE', `${JSON.stringify(wanted)} is not a version`, {
      hint: `A version is the digits that a file name starts with, for example: ${sameCommand('migrate repair', {}, { args: ['003'] })}`,
    });
  }
  const status = statuses.find(({ version }) => version === parseVersion(wanted));
  if (status?.row) return status;
  throw new EvdbError('UNKNOWN_VERSION', `version ${wanted} is not applied`, {
    hint: status
      ? `There is nothing to repair: ${fullName(status)} is pending. Where the database holds its objects already: ${commandLine('migrate baseline', {}, { args: [status.label] })}`
      : `\`${commandLine('migrate status', { all: true })}\` lists what is applied.`,
    details: { version: wanted },
  });
}

function actionFor(status: MigrationStatus, request: RepairRequest): RepairAction | undefined {
  if (request.forget && request.as) {
    throw new EvdbError('USAGE', '--forget and --as cannot be used together', {
      hint: 'Give one of them.',
    });
  }
  if (request.forget) return 'forget';
  if (request.as) return settling(status);
  switch (status.state) {
    case 'reworded':
    case 'changed':
      return 'accept';
    case 'missing':
    case 'ahead':
      return 'forget';
    case 'incomplete':
      throw undecided(status);
    default:
      return undefined;
  }
}

function settling({ row }: MigrationStatus): RepairAction {
  if (row && row.statementStarted === null) throw nothingInDoubt(row);
  return 'settle';
}

/** For a verdict on a migration of which no statement is in doubt. */
export function nothingInDoubt(row: LedgerRow): EvdbError {
  const isWhole = row.state === 'applied';
  return new EvdbError(
    'USAGE',
    `${fullName(row)} ${isWhole ? 'is applied whole' : 'stopped half way, but between two statements'}: none of its statements is in doubt`,
    {
      hint: isWhole
        ? 'There is nothing to resolve.'
        : `Run \`${commandLine(row.state === 'reverting' ? 'migrate down' : 'migrate up')}\`: it continues from there.`,
      details: { version: row.version, state: row.state },
    },
  );
}

function undecided(status: MigrationStatus): EvdbError {
  const decision = decisionAbout(status) as PlannedRepairDecision;
  return new EvdbError('INCOMPLETE_MIGRATION', decision.message, {
    hint: decision.choices
      .map(({ command, meaning }) => `${command}: ${meaning}`)
      .join('\n        '),
    details: { version: status.version, choices: decision.choices },
  });
}

function riskOf(status: MigrationStatus, action: RepairAction): string | null {
  const name = fullName(status);
  if (action === 'forget') {
    const again = status.file
      ? 'and the next migrate up runs its file again'
      : 'and migrate down can no longer roll it back';
    return `what ${name} made stays in the database, ${again}`;
  }
  return status.state === 'changed'
    ? `the database keeps what the old text of ${name} made, and new databases get what the new one makes: only where both are the same is this right`
    : null;
}

function decisionAbout(status: MigrationStatus): PlannedRepairDecision | undefined {
  const { version, label, name, state } = status;
  const told = describe(status);
  return told && { version, label, name, state, ...told };
}

function describe(
  status: MigrationStatus,
): Pick<PlannedRepairDecision, 'message' | 'choices'> | undefined {
  const name = fullName(status);
  switch (status.state) {
    case 'changed':
      return {
        message: `the SQL of ${name} changed after it was applied: put the old text back, or`,
        choices: [
          {
            command: repairCommand([status], { confirm: true }),
            meaning: 'accept it, where the database is already as the new text would make it',
          },
        ],
      };
    case 'missing':
      return {
        message: `${name} is applied, but its file is gone: restore it, or`,
        choices: [
          {
            command: repairCommand([status], { confirm: true }),
            meaning: 'forget it; what it made stays in the database',
          },
        ],
      };
    case 'partial':
      return {
        message: partialBaseline(status).message,
        choices: status.file
          ? [
              {
                command: oldFilesCommand(status.file),
                meaning: 'apply the others with the old files',
              },
            ]
          : [],
      };
    case 'incomplete':
      return describeIncomplete(status);
    default:
      return undefined;
  }
}

function describeIncomplete(
  status: MigrationStatus,
): Pick<PlannedRepairDecision, 'message' | 'choices'> {
  const { statementsDone = 0, statementsTotal = 0, state, statementStarted } = status.row ?? {};
  const isReverting = state === 'reverting';
  const goOn = {
    command: commandLine(isReverting ? 'migrate down' : 'migrate up'),
    meaning:
      statementStarted == null
        ? 'continue where it stopped'
        : 'continue where it stopped, if it can be found out whether that statement is done',
  };
  const settle = [
    {
      command: repairCommand([status], { as: 'done' }),
      meaning: 'that statement is done: continue after it',
    },
    {
      command: repairCommand([status], { as: 'not-done' }),
      meaning: 'it is not done: run it again',
    },
  ];
  const takeBack = {
    command: commandLine('migrate down'),
    meaning: 'roll back what it did, with its down script',
  };
  return {
    message: `${isReverting ? 'rolling back' : 'applying'} ${fullName(status)} stopped at statement ${Math.min(statementsDone + 1, statementsTotal)} of ${statementsTotal}`,
    choices: [
      goOn,
      ...(statementStarted == null ? [] : settle),
      ...(isReverting ? [] : [takeBack]),
      {
        command: repairCommand([status], { forget: true, confirm: true }),
        meaning: 'forget it without running anything; what it made so far stays',
      },
    ],
  };
}

interface RepairRenderOptions {
  style: Style;
  /** Whether this is only what would be done. */
  dryRun: boolean;
}

/** What was repaired, what has to be decided with the commands to type, and a line that counts. */
export function renderRepair(result: MigrateRepairResult, options: RepairRenderOptions): string {
  const { repairs, decisions, schema } = result;
  if (repairs.length === 0 && decisions.length === 0) {
    return `nothing to repair in schema ${schema}`;
  }
  return [
    ...repairs.map((repair) => renderRepaired(repair, options)),
    ...decisions.map((decision) => renderDecision(decision, options)),
    ...(decisions.length > 0 ? [''] : []),
    renderCounts(result, options),
  ].join('\n');
}

function renderRepaired(repair: RepairedMigration, { style, dryRun }: RepairRenderOptions): string {
  const done = { accept: 'accepted', forget: 'forgot  ', settle: 'settled ' }[repair.action];
  const head = `${style.good(dryRun ? `would ${repair.action}` : done)}  ${repair.label}_${repair.name}  ${style.dim(reasonOf(repair))}`;
  return [
    head,
    ...(repair.diff ? [renderDiff(repair.diff, style)] : []),
    ...(repair.risk ? [`    ${style.warn('note:')} ${repair.risk}`] : []),
  ].join('\n');
}

function reasonOf({ state, action, settled }: RepairedMigration): string {
  if (settled) {
    return `statement ${settled.statement} is ${settled.as === 'done' ? 'done' : 'not done'}`;
  }
  if (action === 'forget')
    return state === 'missing' || state === 'ahead' ? 'its file is gone' : state;
  return state === 'reworded' ? 'only comments or white space differ' : 'its SQL changed';
}

function renderDecision(
  { message, choices, diff }: MigrateRepairResult['decisions'][number],
  { style }: RepairRenderOptions,
): string {
  return [
    `${style.warn('to decide')}  ${message}`,
    ...(diff ? [renderDiff(diff, style)] : []),
    ...choices.flatMap(({ command, meaning }) => [
      `    ${style.bold(command)}`,
      `        ${meaning}`,
    ]),
  ].join('\n');
}

function renderCounts(
  { repairs, decisions, schema }: MigrateRepairResult,
  { dryRun }: RepairRenderOptions,
): string {
  const repaired = `${dryRun ? 'would repair' : 'repaired'} ${renderCount(repairs.length, 'migration')} in schema ${schema}`;
  const open = decisions.length > 0 ? `, ${decisions.length} to decide` : '';
  return repaired + open + (dryRun ? '\nNothing was changed (--dry-run).' : '');
}

/** The migrations that count as applied from now on. */
export function renderBaseline(
  { migrations, schema, label: newest, risk }: BaselineResult,
  { style, dryRun }: RepairRenderOptions,
): string {
  if (migrations.length === 0) {
    return `nothing to do: everything up to ${newest} is in the ledger of schema ${schema}`;
  }
  const verb = dryRun ? 'would count as applied' : 'counts as applied';
  return [
    ...migrations.map(({ label, name }) => `${style.good(verb)}  ${label}_${name}`),
    ...(risk ? [`${style.warn('note:')} ${risk}`] : []),
    `${renderCount(migrations.length, 'migration')} in schema ${schema}; none was run${dryRun ? '\nNothing was changed (--dry-run).' : ''}`,
  ].join('\n');
}
