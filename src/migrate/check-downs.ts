import { describeDifferences } from '../structure/diff.ts';
import { sameCommand } from '../text/command-line.ts';
import { displayPath } from './display-path.ts';
import { fullName } from './plan.ts';
import { type DownProof, type ProveDownsOptions, proveDowns } from './shadow.ts';
import type { Finding } from './validate.ts';

/** What the proof of the down scripts came to. */
export interface DownChecks {
  findings: Finding[];
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
  findingOf: (error: unknown) => Finding,
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

function findingsOf(proof: DownProof, findingOf: (error: unknown) => Finding): Finding[] {
  if (proof.outcome === 'incomplete') return [incompleteDown(proof)];
  if (!proof.failure) return [];
  const { direction, error, missing = [] } = proof.failure;
  const what = {
    up: 'does not run in a scratch database, so nothing behind it was proven',
    down: 'cannot be taken back',
    'up again': 'cannot be applied again after it was taken back',
  }[direction];
  const finding = findingOf(error);
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

function incompleteDown({ file, differences }: DownProof): Finding {
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
      ? `after up and down of ${fullName(file)} columns stand in another order`
      : `after up and down of ${fullName(file)} the database is not what it was (+ is left, - is gone):`,
    file: path,
    line: 1,
    column: 1,
    diff: describeDifferences(differences).join('\n'),
  };
}
