import { listColumns } from '../connection/inspection.ts';
import type { Session } from '../connection/session.ts';
import { quoteIdent } from '../sql/quote.ts';
import { quoteWord } from '../text/command-line.ts';
import { renderCount } from '../text/units.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** A line of pg_hba.conf, as in `pg_hba_file_rules`. */
export interface HostRule {
  file: string;
  line: number;
  type: 'local' | 'host' | 'hostssl' | 'hostnossl' | 'hostgssenc' | 'hostnogssenc';
  databases: string[];
  users: string[];
  /** Null for sockets. */
  address: string | null;
  netmask: string | null;
  method: string;
  options: string[];
}

async function readHostRules(session: Session): Promise<HostRule[] | undefined> {
  const [may] = await session.run(`
select
    pg_catalog.has_table_privilege('pg_catalog.pg_hba_file_rules', 'select')
    and pg_catalog.has_function_privilege('pg_catalog.pg_hba_file_rules()', 'execute') as "read"`);
  if (may?.read !== true) return undefined;
  const columns = await listColumns(session, 'pg_catalog.pg_hba_file_rules');
  const rows = await session.run(`
select
    ${columns.has('file_name') ? 'file_name' : `pg_catalog.current_setting('hba_file')`} as "file",
    line_number as "line",
    type as "type",
    pg_catalog.to_json(database) as "databases",
    pg_catalog.to_json(user_name) as "users",
    address as "address",
    netmask as "netmask",
    auth_method as "method",
    pg_catalog.to_json(coalesce(options, '{}')) as "options"
from pg_catalog.pg_hba_file_rules
where error is null
order by 1, 2`);
  return rows as unknown as HostRule[];
}

const LOOPBACK = /^(127\.|::1$|localhost$|samehost$)/;

/** Whether the rule lets in only what runs on the server's machine. */
function isOnMachine({ address }: HostRule): boolean {
  return address === null || LOOPBACK.test(address);
}

function isAnyAddress({ address, netmask }: HostRule): boolean {
  return address === 'all' || (netmask !== null && /^[0.:]+$/.test(netmask));
}

/** What is wrong with a rule, and the part of it that would be right. */
function judgeHostRule(
  rule: HostRule,
): (Pick<DoctorFinding, 'severity' | 'message'> & { better: Partial<HostRule> }) | undefined {
  const { line, type, databases, users, method } = rule;
  const at = `line ${line} of pg_hba.conf`;
  const who = users.includes('all') ? 'any role, superusers too' : users.join(', ');
  const scram = { method: 'scram-sha-256', options: [] };
  if (method === 'trust') {
    return isOnMachine(rule)
      ? {
          severity: 'warning',
          message: `${at} lets every program on the server's machine log in as ${who}, without a password`,
          better: scram,
        }
      : {
          severity: 'error',
          message: `${at} lets ${renderAddress(rule)} log in as ${who}, without a password`,
          better: scram,
        };
  }
  if (method === 'password' && type !== 'hostssl' && !isOnMachine(rule)) {
    return {
      severity: 'warning',
      message: `${at} has passwords sent as plain text`,
      better: scram,
    };
  }
  const isForAll = isAnyAddress(rule) && databases.includes('all') && users.includes('all');
  if (!isForAll || method === 'reject' || method === 'cert') return undefined;
  return {
    severity: 'warning',
    message: `${at} lets every address try to log in as ${who}${type === 'hostssl' ? '' : ', without encryption'}`,
    better: { address: 'samenet', netmask: null },
  };
}

function renderAddress(rule: HostRule): string {
  if (isAnyAddress(rule)) return 'every address';
  return [rule.address, rule.netmask].filter((part) => part !== null).join(' ');
}

/** Rules that let in more than anybody can mean to. */
function judgeHostAccess(rules: readonly HostRule[]): DoctorFinding[] {
  return rules.flatMap((rule): DoctorFinding[] => {
    const judged = judgeHostRule(rule);
    if (judged === undefined) return [];
    const { severity, message, better } = judged;
    const text = renderRule({ ...rule, ...better });
    const isWide = better.address !== undefined;
    const change = `${rule.line}c ${text.replaceAll('\\', '\\\\')}`;
    return [
      {
        severity,
        message,
        objects: [renderRule(rule)],
        hint: isWide
          ? "On the server's machine; instead of samenet, the networks beside it, write those that your applications are in."
          : "On the server's machine; roles without a password need one first.",
        fix: `sed -i ${quoteWord(change, 'posix')} ${quoteWord(rule.file, 'posix')} && psql -c 'select pg_reload_conf()'`,
      },
    ];
  });
}

function renderRule({ type, databases, users, address, netmask, method, options }: HostRule) {
  const list = (names: string[]) => names.map(renderName).join(',');
  const parts = [type, list(databases), list(users), address, netmask, method, ...options];
  return parts.filter((part) => part !== null).join(' ');
}

function renderName(name: string): string {
  return /^[+\w$-]+$/.test(name) ? name : `"${name}"`;
}

export const HOST_ACCESS: DoctorCheck = {
  name: 'host-access',
  group: 'security',
  async examine(session) {
    const rules = await readHostRules(session);
    if (rules === undefined) {
      return { findings: [hidden(session.facts.user)], summary: 'pg_hba.conf is hidden' };
    }
    return {
      findings: judgeHostAccess(rules),
      summary: `${renderCount(rules.length, 'rule')} of pg_hba.conf, none too wide`,
    };
  },
};

function hidden(user: string): DoctorFinding {
  const role = quoteIdent(user);
  return {
    severity: 'unknown',
    message: `who may log in from where is hidden from ${user}`,
    objects: [],
    hint: `Let a superuser run: grant select on pg_catalog.pg_hba_file_rules to ${role}; grant execute on function pg_catalog.pg_hba_file_rules() to ${role}; A managed server shows it in its console: ignore the check there, with that as the reason.`,
  };
}
