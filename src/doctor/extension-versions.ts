import type { Session } from '../connection/session.ts';
import { quoteIdent } from '../sql/quote.ts';
import { renderCount } from '../text/units.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** An extension of this database. */
interface ExtensionVersion {
  name: string;
  installed: string;
  /** Of the server's files; null if they are gone, or lead there no way from what is installed. */
  available: string | null;
}

async function readExtensionVersions(session: Session): Promise<ExtensionVersion[]> {
  // A version is only text, so what is newer is what the files lead to.
  const rows = await session.run(`
select
    e.extname::text as "name",
    e.extversion as "installed",
    case
        when a.default_version = e.extversion then a.default_version
        when exists (
            select
            from pg_catalog.pg_extension_update_paths(e.extname) as p
            where p.source = e.extversion and p.target = a.default_version and p.path is not null
        ) then a.default_version
    end as "available"
from pg_catalog.pg_extension as e
left join pg_catalog.pg_available_extensions() as a on a.name = e.extname
order by 1`);
  return rows as unknown as ExtensionVersion[];
}

/** Extensions whose objects are older than the server's files, which may hold repairs. */
function judgeExtensionVersions(rows: readonly ExtensionVersion[]): DoctorFinding[] {
  return rows.flatMap(({ name, installed, available }) =>
    available === null || available === installed
      ? []
      : [
          {
            severity: 'warning',
            message: `extension ${name} is at version ${installed}, and the server has ${available}`,
            objects: [name],
            fix: `alter extension ${quoteIdent(name)} update;`,
          },
        ],
  );
}

export const EXTENSION_VERSIONS: DoctorCheck = {
  name: 'extension-versions',
  group: 'security',
  async examine(session) {
    const rows = await readExtensionVersions(session);
    return {
      findings: judgeExtensionVersions(rows),
      summary: `${renderCount(rows.length, 'extension')}, none behind the server's files`,
    };
  },
};
