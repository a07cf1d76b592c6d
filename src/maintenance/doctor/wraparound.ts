import { readVacuum, type VacuumRow } from '../../stats/vacuum.ts';
import { type DoctorCheck, type DoctorFinding, unknownsOf } from './check.ts';

/** Vacuum's own failsafe begins at an age of 1.6 billion, which is about here. */
const CRITICAL_LEFT = 500_000_000;
/** Autovacuum begins at 1; where it is this late, something keeps it from freezing. */
const WARNING_SHARE = 1.5;

/** How near databases and tables are to where the server stops accepting writes. */
export function judgeWraparound(rows: VacuumRow[]): DoctorFinding[] {
  return rows.flatMap((row) =>
    [
      judgeAge(row, 'transactions', [row.xidAge, row.freezeMaxAge, row.xidsLeft]),
      judgeAge(row, 'multixacts', [
        row.multixactAge,
        row.multixactFreezeMaxAge,
        row.multixactsLeft,
      ]),
    ].flat(),
  );
}

function judgeAge(
  { kind, schema, name }: VacuumRow,
  unit: string,
  [age, freezeMax, left]: [number | null, number | null, number | null],
): DoctorFinding[] {
  if (age === null || freezeMax === null || left === null) return [];
  const isCritical = left < CRITICAL_LEFT;
  if (!isCritical && age <= freezeMax * WARNING_SHARE) return [];
  const object = schema === null ? name : `${schema}.${name}`;
  return [
    {
      status: isCritical ? 'critical' : 'warning',
      object,
      reason: `${kind} ${object} is ${age} ${unit} old (autovacuum freezes at ${freezeMax}); writes stop in ${Math.max(0, left)}`,
      fix:
        kind === 'table'
          ? `vacuum (freeze) ${quoted(schema)}${quoted(name, '')}; -- end old transactions, prepared ones and unused slots first`
          : `vacuum (freeze); -- in database ${name}, by its owner or a superuser`,
    },
  ];
}

function quoted(name: string | null, dot = '.'): string {
  return name === null ? '' : `"${name.replaceAll('"', '""')}"${dot}`;
}

export const WRAPAROUND: DoctorCheck = {
  name: 'wraparound',
  group: 'vacuum',
  command: 'stats vacuum',
  async examine(_session, context) {
    const { rows, notes } = await context.once(readVacuum);
    const left = Math.min(...rows.map((row) => row.xidsLeft ?? Number.POSITIVE_INFINITY));
    return {
      findings: [...judgeWraparound(rows), ...unknownsOf(notes)],
      summary: `${Math.floor(left / 1_000_000)} million transactions are left at least`,
    };
  },
};
