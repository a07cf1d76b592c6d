import { EvdbError } from '../../errors.ts';
import { commandLine } from '../../text/command-line.ts';
import {
  compareVersions,
  displayPath,
  isVersion,
  parseVersion,
  REPEATABLE_LABEL,
  SEED_LABEL,
  type Version,
} from '../files/version.ts';
import type { MigrationDirection, MigrationPlanWarning } from '../progress.ts';
import {
  isApplied,
  isBackfillRow,
  isStandIn,
  type MigrationStatus,
  repairCommand,
  restoreCommand,
} from './compare.ts';
import { partialBaseline } from './replaced.ts';

/** Which migrations to run, in this order; nothing has been read or checked of their scripts. */
export interface Selection {
  direction: MigrationDirection;
  migrations: MigrationStatus[];
  /** What remains pending because a target or a number of steps left it out. */
  left?: MigrationStatus[];
  /** Whether the first one whose script says `contract`, and all after it, are left out too. */
  isExpandOnly?: boolean;
  /** Whether backfills are left for later, and with them the first one that needs one and all after it. */
  isWithoutBackfills?: boolean;
  /** Baselines that count as applied from now on, because what they replace is; nothing of them runs. */
  counted?: CountedBaseline[];
  warnings: MigrationPlanWarning[];
}

/** A migration that is not applied. */
export type PendingMigration = Pick<MigrationStatus, 'version' | 'label' | 'name'>;

/** A baseline that counts as applied. */
export interface CountedBaseline extends PendingMigration {
  /** What it replaces, such as `001-016`. */
  replaces: string;
  /** As shown to people. */
  file: string;
}

/** The migration that a run stops before. */
export interface WaitingMigration extends PendingMigration {
  /** Why: it contracts the schema (`--expand`), or needs a backfill that is left for later (`--no-wait`). */
  cause: 'contract' | 'backfill';
  /** What it requires before it runs, as its header writes it or could, without backfills that are done by then. */
  gates: string[];
}

/** Which migrations to apply; if empty, all pending ones. */
export interface PlanUpOptions {
  /** The last version to apply; default: all. */
  to?: string | undefined;
  /** The highest number to apply. */
  steps?: number | undefined;
  /** A ledger ahead of the files is an error. */
  strict?: boolean | undefined;
  /** Apply migrations that are older than the newest applied one. */
  outOfOrder?: boolean | undefined;
  /** Stop before the first migration that says `-- evdb: contract`; default false. */
  expand?: boolean | undefined;
  /**
   * Whether to run backfills; default true. If false, they are left for `runBackfills`, and so is the first
   * later migration that may need one, with all after it.
   */
  wait?: boolean | undefined;
}

/** Which migrations to roll back; if empty, the newest one. */
export interface PlanDownOptions {
  /** The version to leave as the last one applied; `0` leaves none. */
  to?: string | undefined;
  /** How many to roll back; default 1. */
  steps?: number | undefined;
}

/**
 * Decides what `up` runs. Pure. A migration that stopped half way while it was applied goes on.
 *
 * @throws {EvdbError} USAGE, INCOMPLETE_MIGRATION, CHANGED_MIGRATION, MISSING_MIGRATION,
 *   PARTIAL_BASELINE, OUT_OF_ORDER, LEDGER_AHEAD, UNKNOWN_VERSION
 */
export function planUp(statuses: MigrationStatus[], options: PlanUpOptions = {}): Selection {
  const target = targetVersion(options);
  const warnings = ledgerWarnings(statuses, options);
  refuseDamage(statuses, target);
  const known = statuses.find(({ version }) => version === target);
  if (target !== undefined && !known) throw unknownVersion(options.to ?? '', statuses);
  const open = statuses.filter(
    ({ state }) => state === 'pending' || state === 'outOfOrder' || state === 'incomplete',
  );
  const migrations = open
    .filter(({ version }) => target === undefined || compareVersions(version, target) <= 0)
    .slice(0, options.steps ?? open.length);
  refuseOutOfOrder(migrations, statuses, options);
  const counted = listCounted(statuses);
  return {
    direction: 'up',
    migrations,
    counted,
    left: open.slice(migrations.length),
    isExpandOnly: options.expand === true,
    isWithoutBackfills: options.wait === false,
    warnings: [...warnings, ...counted.map(countsAsApplied)],
  };
}

/** Those that are not written down as such; the origin of the row tells. */
function listCounted(statuses: readonly MigrationStatus[]): CountedBaseline[] {
  return statuses.flatMap((status) => {
    const { version, label, name, file, row, replaced } = status;
    if (!isStandIn(status) || row?.origin !== 'applied' || !file || !replaced) return [];
    return [{ version, label, name, replaces: replaced.text, file: displayPath(file.upPath) }];
  });
}

function countsAsApplied(baseline: CountedBaseline): MigrationPlanWarning {
  return {
    code: 'REPLACED',
    version: baseline.version,
    message: `${fullName(baseline)} counts as applied, because ${baseline.replaces} are, which it replaces; nothing of it runs`,
  };
}

/**
 * Decides which backfills to run of those that were begun or left for later. Pure.
 *
 * @param wanted one version; default: all
 * @throws {EvdbError} UNKNOWN_VERSION, INCOMPLETE_MIGRATION where the file is missing
 */
export function planBackfills(statuses: MigrationStatus[], wanted?: string): Selection {
  const begun = statuses.filter(
    ({ state, row }) => state === 'incomplete' && row?.state === 'applying' && isBackfillRow(row),
  );
  const version = wanted === undefined ? undefined : targetVersion({ to: wanted });
  const migrations = begun.filter((one) => version === undefined || one.version === version);
  if (wanted !== undefined && migrations.length === 0) {
    throw new EvdbError('UNKNOWN_VERSION', `no backfill with version ${wanted} is half way`, {
      hint: `\`${commandLine('backfill status')}\` shows which ones are.`,
      details: { version: wanted },
    });
  }
  const lost = migrations.find(({ file }) => file === undefined);
  if (lost) throw incompleteMigration(lost);
  return { direction: 'up', migrations, warnings: [] };
}

/**
 * Decides what `down` rolls back, newest first. Pure. A migration that stopped half way can be
 * rolled back too: that is the way out.
 *
 * @throws {EvdbError} USAGE, PARTIAL_BASELINE, UNKNOWN_VERSION
 */
export function planDown(statuses: MigrationStatus[], options: PlanDownOptions = {}): Selection {
  const target = targetVersion(options);
  const partial = statuses.find(({ state }) => state === 'partial');
  if (partial) throw partialBaseline(partial, 'down');
  const present = statuses
    .filter((status) => isApplied(status) || status.state === 'incomplete')
    .reverse();
  if (target === undefined) {
    return selection(present.slice(0, options.steps ?? 1));
  }
  if (target !== '0' && !present.some(({ version }) => version === target)) {
    throw unknownVersion(options.to ?? '', present, 'is not applied');
  }
  return selection(present.filter(({ version }) => compareVersions(version, target) > 0));
}

function selection(migrations: MigrationStatus[]): Selection {
  const warnings = migrations
    .filter(({ state }) => state === 'changed')
    .map((status) => ({
      code: 'CHANGED_MIGRATION' as const,
      version: status.version,
      message: `${fullName(status)} was changed after it was applied; the down script may belong to the newer text`,
    }));
  return {
    direction: 'down',
    migrations,
    warnings: [...warnings, ...baselineWarnings(migrations)],
  };
}

/** Nobody knows that the down script fits what a baseline found. */
function baselineWarnings(migrations: MigrationStatus[]): MigrationPlanWarning[] {
  return migrations
    .filter((status) => status.row?.origin === 'baseline' && !isStandIn(status))
    .map((status) => ({
      code: 'BASELINE',
      version: status.version,
      message: `${fullName(status)} was there before evdb (baseline): its down script would act on what others made`,
    }));
}

function targetVersion({ to, steps }: { to?: string | undefined; steps?: number | undefined }) {
  if (to !== undefined && steps !== undefined) {
    throw new EvdbError('USAGE', '--to and --steps cannot be used together', {
      hint: 'Give one of them.',
    });
  }
  if (steps !== undefined && !(Number.isSafeInteger(steps) && steps > 0)) {
    throw new EvdbError('USAGE', `steps must be a positive whole number, not ${steps}`, {
      hint: 'For example: --steps 2',
    });
  }
  if (to === undefined) return undefined;
  if (isVersion(to)) return parseVersion(to);
  throw new EvdbError('USAGE', `${JSON.stringify(to)} is not a version`, {
    hint: 'A version is the digits that a file name starts with, for example: --to 003',
  });
}

function ledgerWarnings(
  statuses: MigrationStatus[],
  options: PlanUpOptions,
): MigrationPlanWarning[] {
  const ahead = statuses.filter(({ state }) => state === 'ahead');
  if (ahead.length > 0 && options.strict) throw ledgerAhead(ahead);
  const warnings: MigrationPlanWarning[] = statuses
    .filter(({ state }) => state === 'reworded')
    .map((status) => ({
      code: 'REWORDED',
      version: status.version,
      message: `${fullName(status)} differs from what was applied, but only in comments or white space`,
    }));
  if (ahead.length === 0) return warnings;
  return [{ code: 'LEDGER_AHEAD', message: ledgerAhead(ahead).message }, ...warnings];
}

function ledgerAhead(ahead: MigrationStatus[]): EvdbError {
  const names = ahead.map(fullName);
  return new EvdbError(
    'LEDGER_AHEAD',
    `the database is ahead of these files: ${listNames(names)} ${names.length === 1 ? 'is' : 'are'} applied and not here`,
    {
      hint: 'This is an older checkout. Update it, or leave out --strict if that is intended.',
      details: { versions: ahead.map(({ version }) => version) },
    },
  );
}

function refuseDamage(statuses: MigrationStatus[], target: Version | undefined): void {
  const stuck = statuses.find((one) => one.state === 'incomplete' && !goesOn(one, target));
  if (stuck) throw incompleteMigration(stuck);
  const partial = statuses.find(({ state }) => state === 'partial');
  if (partial) throw partialBaseline(partial);
  const changed = statuses.filter(({ state }) => state === 'changed');
  if (changed.length > 0) {
    throw new EvdbError(
      'CHANGED_MIGRATION',
      `${listNames(changed.map(fullName))} changed after being applied`,
      {
        hint: wayBackFromChange(changed),
        details: { versions: changed.map(({ version }) => version) },
      },
    );
  }
  const missing = statuses.filter(({ state }) => state === 'missing');
  if (missing.length === 0) return;
  throw new EvdbError(
    'MISSING_MIGRATION',
    `${listNames(missing.map(fullName))} ${missing.length === 1 ? 'is' : 'are'} applied, but the file is gone`,
    {
      hint: `Restore the file from version control, or from the ledger: \`${restoreCommand(missing)}\`. To roll the migration back without it: \`${commandLine('migrate down', { 'from-ledger': true })}\`. To forget it: \`${repairCommand(missing)}\`.`,
      details: { versions: missing.map(({ version }) => version) },
    },
  );
}

/** What to do about migrations that changed after being applied. */
export function wayBackFromChange(changed: MigrationStatus[]): string {
  return `Put the old text back and write a new migration for the change. Where the database may lose it: \`${commandLine('migrate down')}\`, then \`${commandLine('migrate up')}\`. Where it is as the new text would make it: \`${repairCommand(changed)}\`.`;
}

/** Only `down` finishes what it began, and a target below would leave it half way. */
function goesOn({ row, version, file }: MigrationStatus, target: Version | undefined): boolean {
  const isWanted = !target || compareVersions(version, target) <= 0;
  return row?.state === 'applying' && file !== undefined && isWanted;
}

function incompleteMigration(status: MigrationStatus): EvdbError {
  const { statementsDone = 0, statementsTotal = 0, state = 'applying' } = status.row ?? {};
  const isReverting = state === 'reverting';
  const where = isBackfillRow(status.row)
    ? 'between two of its batches; those before are committed'
    : `at statement ${Math.min(statementsDone + 1, statementsTotal)} of ${statementsTotal}; the ${statementsDone} before it ${statementsDone === 1 ? 'is' : 'are'} committed`;
  const verb = isReverting ? 'rolling back' : 'applying';
  return new EvdbError('INCOMPLETE_MIGRATION', `${verb} ${fullName(status)} stopped ${where}`, {
    hint: wayOn(status, isReverting),
    details: { version: status.version, state, statementsDone, statementsTotal },
  });
}

function wayOn({ file }: MigrationStatus, isReverting: boolean): string {
  const [up, down] = [commandLine('migrate up'), commandLine('migrate down')];
  if (isReverting) return `\`${down}\` continues it; after that \`${up}\` applies it again.`;
  return file === undefined
    ? `Its file is not here: restore it and run \`${up}\`, which continues it, or roll it back with \`${commandLine('migrate down', { 'from-ledger': true })}\`.`
    : `\`${up}\` continues it, \`${down}\` rolls it back. The history table of the ledger holds the error.`;
}

function refuseOutOfOrder(
  selected: MigrationStatus[],
  statuses: MigrationStatus[],
  options: PlanUpOptions,
): void {
  const late = selected.filter(({ state }) => state === 'outOfOrder');
  if (late.length === 0 || options.outOfOrder) return;
  const newest = statuses.filter(isApplied).at(-1);
  throw new EvdbError(
    'OUT_OF_ORDER',
    `${listNames(late.map(fullName))} ${late.length === 1 ? 'is' : 'are'} pending, but the newer ${newest ? fullName(newest) : 'ones'} is applied already`,
    {
      hint: 'Rename it to a version above the newest one. Where the order makes no difference, --out-of-order applies it as it is.',
      details: { versions: late.map(({ version }) => version), newest: newest?.version },
    },
  );
}

function unknownVersion(
  to: string,
  known: MigrationStatus[],
  problem = 'does not exist',
): EvdbError {
  return new EvdbError('UNKNOWN_VERSION', `version ${to} ${problem}`, {
    hint: listNewest(known),
    details: { version: to },
  });
}

/** In version order, whichever order they come in. */
function listNewest(known: MigrationStatus[]): string {
  const most = 12;
  if (known.length === 0) return 'There are none.';
  const labels = [...known]
    .sort((a, b) => compareVersions(a.version, b.version))
    .map(({ label }) => label);
  const shown = labels.slice(-most).join(', ');
  return known.length > most
    ? `The newest of ${known.length} are: ${shown}.`
    : `Known are: ${shown}.`;
}

/** `001_create_users_table`, as people know it from the folder. */
export function fullName({ label, name }: { label: string; name: string }): string {
  // No version has letters: seeds and repeatables are called as their files.
  if (label === REPEATABLE_LABEL) return `repeatable/${name}`;
  return label === SEED_LABEL ? name : `${label}_${name}`;
}

/** The first ones, and how many more there are. */
export function listNames(names: string[], most = 5): string {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
