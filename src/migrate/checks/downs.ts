import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { type WithScratchOptions, withScratch } from '../../scratch/scratch.ts';
import {
  describeDifferences,
  diffStructures,
  type StructureDifference,
} from '../../structure/diff.ts';
import { readStructure } from '../../structure/read/structure.ts';
import type { Structure } from '../../structure/structure.ts';
import { sameCommand } from '../../text/command-line.ts';
import { listMigrations, type MigrationFile, readScript, type Script } from '../files/source.ts';
import { displayPath } from '../files/version.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import { fullName } from '../plan/plan.ts';
import { readStanding, withSession } from '../plan/read.ts';
import { runScript } from './replay.ts';
import type { ValidationFinding } from './validate.ts';

/** The result for one migration in the scratch database. */
export interface DownProof {
  file: MigrationFile;
  /**
   * - `proven`: after up and down everything is as it was before
   * - `incomplete`: something was left or is missing
   * - `none`: there is no down script, or its migration is irreversible
   * - `failed`: a script did not run
   */
  outcome: 'proven' | 'incomplete' | 'none' | 'failed';
  /** From before up to after down: additions were left, removals are missing. */
  differences: StructureDifference[];
  /** Which script failed, and how. */
  failure?: {
    direction: 'up' | 'down' | 'up again';
    error: unknown;
    /** What the copy of the structure lacks, because it could not be created there. */
    missing?: string[];
  };
}

/** Whose migrations are proved, and where the scratch database is created. */
export interface ProveDownsOptions extends Omit<MigrateOptions, 'connection'> {
  /** Without one all migrations are run in an empty database. */
  connection?: MigrateOptions['connection'] | undefined;
  /** Prove the applied ones too, from an empty database on; default: the pending ones, on a copy of the structure. */
  all?: boolean | undefined;
  /** The folder of the embedded server, for a role that may not create databases; default: that is an error. */
  embeddedDirectory?: string | undefined;
  /** Called with a sentence about the scratch database; default none. */
  onScratch?: ((message: string) => void) | undefined;
}

/**
 * Runs each pending migration up, down and up again in a scratch database, and compares the state
 * before with the state after. Stops at the first one that does not run up.
 *
 * @throws {EvdbError} those of `withScratchDatabase`, `readStructure` and `requireMigrations`
 * @example
 * const proofs = await proveDowns({ connection, directory: 'migrations' });
 */
export async function proveDowns(options: ProveDownsOptions): Promise<DownProof[]> {
  const { connection } = options;
  const files = listMigrations(options.directory);
  if (!connection || options.all) return proveFiles(files, options);
  return withSession({ ...options, connection }, async (target) => {
    const standing = await readStanding(target, { ...options, connection }, files);
    const pending = standing.statuses.flatMap(({ state, file }) =>
      file && (state === 'pending' || state === 'outOfOrder') ? [file] : [],
    );
    if (pending.length === 0) return [];
    const { ledgerSchema } = ledgerKey(options);
    return proveFiles(pending, { ...options, copyOf: { target, ledgerSchema } });
  });
}

/** A down script that left something makes the rest start over in another database. */
async function proveFiles(
  files: MigrationFile[],
  options: ProveDownsOptions & Pick<WithScratchOptions, 'copyOf'>,
): Promise<DownProof[]> {
  const proofs: DownProof[] = [];
  let isOver = files.length === 0;
  while (!isOver) {
    const making = { ...options, beside: options.connection };
    isOver = await withScratch(making, async ({ session: scratch, missing }) => {
      for (const { file } of proofs) await runUp(scratch, file, options);
      for (const file of files.slice(proofs.length)) {
        const proof = await proveFile(scratch, file, options);
        if (proof.failure && missing.length > 0) proof.failure.missing = missing;
        proofs.push(proof);
        if (proof.failure?.direction === 'up') return true;
        if (proof.outcome === 'incomplete' || proof.outcome === 'failed') break;
      }
      return proofs.length === files.length;
    });
  }
  return proofs;
}

async function runUp(scratch: Session, file: MigrationFile, options: ProveDownsOptions) {
  await run(scratch, readScript(file.upPath), options);
}

async function proveFile(
  scratch: Session,
  file: MigrationFile,
  options: ProveDownsOptions,
): Promise<DownProof> {
  const before = await readAll(scratch, options);
  let direction: NonNullable<DownProof['failure']>['direction'] = 'up';
  try {
    const up = readScript(file.upPath);
    await run(scratch, up, options);
    if (!file.downPath || up.directives.irreversible !== undefined) {
      return { file, outcome: 'none', differences: [] };
    }
    direction = 'down';
    await run(scratch, readScript(file.downPath), options);
    const differences = diffStructures(before, await readAll(scratch, options));
    if (differences.length > 0) return { file, outcome: 'incomplete', differences };
    direction = 'up again';
    await run(scratch, up, options);
    return { file, outcome: 'proven', differences };
  } catch (error) {
    if (options.signal?.aborted) throw options.signal.reason;
    if (scratch.isClosed && !(error instanceof EvdbError)) throw error;
    return { file, outcome: 'failed', differences: [], failure: { direction, error } };
  }
}

async function run(scratch: Session, script: Script, options: ProveDownsOptions): Promise<void> {
  await runScript(scratch, script, { options, createTarget: true });
}

/** Everything, whatever schema it is in, and whose it is. */
function readAll(scratch: Session, options: ProveDownsOptions): Promise<Structure> {
  const { ledgerSchema } = ledgerKey(options);
  return readStructure(scratch, { exceptSchemas: [ledgerSchema], owners: true });
}

/** What the proof of the down scripts came to. */
interface DownChecks {
  findings: ValidationFinding[];
  /** Names of the migrations that their down scripts undo exactly. */
  proven: string[];
  /** Why there was nothing to prove. */
  skippedReason?: string;
}

/**
 * Proves that down scripts undo their migrations, and says as findings where they do not.
 *
 * @param findingOf makes a finding of what a script failed with
 * @throws {EvdbError} those of `proveDowns`
 */
export async function checkDowns(
  options: ProveDownsOptions,
  findingOf: (error: EvdbError) => ValidationFinding,
): Promise<DownChecks> {
  const proofs = await proveDowns(options);
  if (proofs.length === 0) {
    const all = sameCommand('migrate validate', { shadow: true, all: true });
    const skippedReason = `no migration is pending; \`${all}\` proves those of applied ones`;
    return { findings: [], proven: [], skippedReason };
  }
  return {
    findings: proofs.flatMap((proof) => findingsOf(proof, findingOf)),
    proven: proofs.filter(({ outcome }) => outcome === 'proven').map(({ file }) => fullName(file)),
  };
}

function findingsOf(
  proof: DownProof,
  findingOf: (error: EvdbError) => ValidationFinding,
): ValidationFinding[] {
  if (proof.outcome === 'incomplete') return [incompleteDown(proof)];
  if (!proof.failure) return [];
  const { direction, error, missing = [] } = proof.failure;
  const what = {
    up: 'does not run in a scratch database, so nothing after it was proven',
    down: 'cannot be rolled back',
    'up again': 'cannot be applied again after it was rolled back',
  }[direction];
  const finding = findingOf(error as EvdbError);
  return [
    {
      ...finding,
      code: direction === 'up' ? 'REPLAY_FAILED' : 'DOWN_FAILED',
      message: `${fullName(proof.file)} ${what}: ${finding.message}${sayMissing(missing)}`,
    },
  ];
}

/** The first is told: the others mostly follow from it. */
function sayMissing([first, ...others]: string[]): string {
  if (first === undefined) return '';
  const more = others.length === 0 ? '' : `, and ${others.length} more`;
  return ` (not all of the database could be copied: ${first}${more})`;
}

function incompleteDown({ file, differences }: DownProof): ValidationFinding {
  const onlyOrder = differences.every(
    ({ change, parts }) =>
      change === 'changed' && parts.every(({ part }) => part === 'order of columns'),
  );
  const path = displayPath(file.downPath ?? file.upPath);
  return {
    // no script can put a column back between others
    severity: onlyOrder ? 'info' : 'error',
    code: 'DOWN_INCOMPLETE',
    message: onlyOrder
      ? `after up and down of ${fullName(file)} columns are in another order`
      : `after up and down of ${fullName(file)} the database is not what it was (+ is left, - is gone):`,
    location: { file: path, line: 1, column: 1 },
    objects: [],
    details: { diff: describeDifferences(differences).join('\n') },
  };
}
