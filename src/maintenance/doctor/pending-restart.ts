import type { DoctorCheck, DoctorFinding } from './check.ts';

/** Settings that somebody changed, and that wait for a restart to hold. */
function judgePendingRestart(names: string[]): DoctorFinding[] {
  return names.map((name) => ({
    status: 'warning',
    object: name,
    reason: `${name} was changed in the configuration and waits for a restart`,
    fix: 'Restart the server at a quiet time, or take the change back: the next crash applies it.',
  }));
}

export const PENDING_RESTART: DoctorCheck = {
  name: 'pending-restart',
  group: 'configuration',
  async examine(session) {
    const rows = await session.run(
      `select name as "name" from pg_catalog.pg_settings where pending_restart order by name`,
    );
    return {
      findings: judgePendingRestart(rows.map(({ name }) => String(name))),
      summary: 'the settings in force are those of the configuration',
    };
  },
};
