import type { Session } from '../connection/session.ts';
import { quoteIdent } from '../sql/quote.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** How passwords are stored, and will be. */
export interface PasswordEncryption {
  setting: string;
  /** Where the setting comes from, as in `pg_settings.source`. */
  source: string;
  /** Roles whose password is stored as MD5; null if this role may not see that. */
  md5Roles: string[] | null;
}

async function readPasswordEncryption(session: Session): Promise<PasswordEncryption> {
  const [found] = await session.run(`
select
    s.setting as "setting",
    s.source as "source",
    pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'select') as "isReadable"
from pg_catalog.pg_settings as s
where s.name = 'password_encryption'`);
  const { isReadable, ...setting } = found as unknown as PasswordEncryption & {
    isReadable: boolean;
  };
  if (!isReadable) return { ...setting, md5Roles: null };
  const roles = await session.run(`
select rolname::text as "name"
from pg_catalog.pg_authid
where rolpassword like 'md5%' and rolcanlogin
order by 1`);
  return { ...setting, md5Roles: roles.map(({ name }) => String(name)) };
}

/** Passwords that a copy of the catalog, or of the traffic, gives away. */
function judgePasswordEncryption(
  { setting, source, md5Roles }: PasswordEncryption,
  { user, database }: { user: string; database: string },
): DoctorFinding[] {
  const findings: DoctorFinding[] = (md5Roles ?? []).map((role) => ({
    severity: 'warning',
    message: `the password of ${role} is stored as MD5: with that alone one can log in as ${role}`,
    objects: [role],
    hint: 'Set the password again, the same or a new one: psql then stores it as SCRAM.',
    fix: `set password_encryption = 'scram-sha-256'; \\password ${quoteIdent(role)}`,
  }));
  if (setting === 'md5') {
    findings.unshift({
      severity: 'warning',
      message:
        'password_encryption is md5: new passwords are stored in a form that one can log in with',
      objects: ['password_encryption'],
      fix: resetSetting(source, { user, database }),
    });
  }
  if (md5Roles === null) {
    findings.push({
      severity: 'unknown',
      message: `how passwords are stored is hidden from ${user}`,
      objects: [],
      hint: 'Examine it as a superuser. A managed server has none for you: ignore the check there, with that as the reason.',
    });
  }
  return findings;
}

function resetSetting(source: string, { user, database }: { user: string; database: string }) {
  switch (source) {
    case 'user':
      return `alter role ${quoteIdent(user)} reset password_encryption;`;
    case 'database':
      return `alter database ${quoteIdent(database)} reset password_encryption;`;
    case 'database user':
      return `alter role ${quoteIdent(user)} in database ${quoteIdent(database)} reset password_encryption;`;
    default:
      return `alter system set password_encryption = 'scram-sha-256'; select pg_reload_conf();`;
  }
}

export const PASSWORD_ENCRYPTION: DoctorCheck = {
  name: 'password-encryption',
  group: 'security',
  async examine(session) {
    const { database } = session.options;
    return {
      findings: judgePasswordEncryption(await readPasswordEncryption(session), {
        user: session.facts.user,
        database,
      }),
      summary: 'no password is stored as MD5',
    };
  },
};
