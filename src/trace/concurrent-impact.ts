import { type Impact, isStronger, type LockTaken } from '../impact/impact.ts';

/**
 * What a concurrent statement takes, told from what its plain form did. Pure. PostgreSQL holds
 * `ShareUpdateExclusive` on what the plain form locks strongly, and at the end of a detachment the
 * partition alone is locked for a moment.
 *
 * @param command the statement's leading keywords
 */
export function concurrentImpact(plain: Impact, command: string): Impact {
  const locks = plain.locks
    .filter(({ mode }) => isStronger(mode, 'RowExclusive'))
    .map((lock): LockTaken => {
      const isDetached = command === 'alter table' && lock.reason === 'partition';
      return isDetached ? lock : { ...lock, mode: 'ShareUpdateExclusive' };
    });
  return {
    ...plain,
    locks,
    builds: plain.builds.map((build) => ({ ...build, isConcurrent: true })),
  };
}
