import type { Session } from '../../connection/session.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** Settings under which what was committed may be lost, or broken data goes unnoticed. */
const DANGEROUS: Record<string, { bad: string; status: 'warning' | 'critical'; why: string }> = {
  fsync: { bad: 'off', status: 'critical', why: 'a crash of the machine destroys the database' },
  full_page_writes: {
    bad: 'off',
    status: 'critical',
    why: 'a crash of the machine can leave pages half written',
  },
  synchronous_commit: {
    bad: 'off',
    status: 'warning',
    why: 'a crash loses the last commits, which clients were told are done',
  },
  zero_damaged_pages: { bad: 'on', status: 'critical', why: 'damaged pages are emptied unasked' },
  ignore_checksum_failure: {
    bad: 'on',
    status: 'critical',
    why: 'damaged pages are used as if they were whole',
  },
};

export type SettingValues = Record<string, string | undefined>;

async function readValues(session: Session, names: string[]): Promise<SettingValues> {
  const list = names.map((name) => `('${name}')`).join(', ');
  const rows = await session.run(`
select name as "name", pg_catalog.current_setting(name, true) as "value"
from (values ${list}) as wanted (name)`);
  return Object.fromEntries(rows.map(({ name, value }) => [String(name), value as string]));
}

/** Which settings endanger data. */
export function judgeDurability(values: SettingValues): DoctorFinding[] {
  return Object.entries(DANGEROUS)
    .filter(([name, { bad }]) => values[name] === bad)
    .map(([name, { bad, status, why }]) => ({
      status,
      object: name,
      reason: `${name} is ${bad}: ${why}`,
      fix: `alter system set ${name} = ${bad === 'on' ? 'off' : 'on'}; select pg_reload_conf();`,
    }));
}

export const DURABILITY: DoctorCheck = {
  name: 'durability',
  group: 'configuration',
  async examine(session) {
    const names = Object.keys(DANGEROUS);
    const values = await readValues(session, names);
    const isHidden = names.every((name) => values[name] === undefined);
    return {
      findings: isHidden ? [HIDDEN] : judgeDurability(values),
      summary: 'what is committed is on disk',
    };
  },
};

const HIDDEN: DoctorFinding = {
  status: 'unknown',
  object: null,
  reason: 'the settings are hidden from this role',
  fix: 'Let an administrator grant pg_read_all_settings to it.',
};
