import { quoteIdent } from '../../sql/quote.ts';
import { readVacuum, type VacuumReport } from '../../stats/vacuum.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** Whether the server, or a table, is left without autovacuum. */
export function judgeAutovacuum({
  isAutovacuumOn,
  rows,
}: Pick<VacuumReport, 'isAutovacuumOn' | 'rows'>): DoctorFinding[] {
  const tables = rows
    .filter((row) => row.isAutovacuumOff)
    .map((row): DoctorFinding => {
      const name = `${row.schema}.${row.name}`;
      const table = `${quoteIdent(row.schema ?? '')}.${quoteIdent(row.name)}`;
      return {
        status: 'warning',
        object: name,
        reason: `autovacuum is off for ${name}: dead rows stay until somebody vacuums it`,
        fix: `alter table ${table} reset (autovacuum_enabled);`,
      };
    });
  if (isAutovacuumOn) return tables;
  return [
    {
      status: 'critical',
      object: null,
      reason:
        'autovacuum is off on the whole server, or track_counts is, without which it does nothing',
      fix: 'alter system set autovacuum = on; alter system set track_counts = on; select pg_reload_conf();',
    },
    ...tables,
  ];
}

export const AUTOVACUUM: DoctorCheck = {
  name: 'autovacuum',
  group: 'vacuum',
  async examine(_session, context) {
    const report = await context.once(readVacuum);
    return { findings: judgeAutovacuum(report), summary: 'autovacuum is on' };
  },
};
