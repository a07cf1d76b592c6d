import { quoteIdent } from '../../sql/quote.ts';
import { type ConnectionLimits, readConnections } from '../../stats/connections.ts';
import { commandLine } from '../../text/command-line.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** From here on a burst, such as a deployment that starts new pools beside the old, may fail. */
const WARNING_SHARE = 0.8;
const CRITICAL_SHARE = 0.95;

/** How near the server, a database or a role is to refusing connections. */
export function judgeConnectionLimit(limits: ConnectionLimits): DoctorFinding[] {
  const { taken, usable, own } = limits;
  const server = judgeShare(taken, usable, {
    object: null,
    what: 'the server',
    fix: `\`${commandLine('stats connections')}\` shows whose they are; use smaller pools or a pooler before raising max_connections.`,
  });
  return [
    ...server,
    ...own.flatMap(({ kind, name, limit, taken: used }) =>
      judgeShare(used, limit, {
        object: `${kind} ${name}`,
        what: `${kind} ${name}`,
        fix: `alter ${kind} ${quoteIdent(name)} connection limit ${Math.max(1, limit) * 2};`,
      }),
    ),
  ];
}

function judgeShare(
  taken: number,
  limit: number,
  { object, what, fix }: { object: string | null; what: string; fix: string },
): DoctorFinding[] {
  // A limit of 0 keeps everybody out on purpose.
  if (limit <= 0) return [];
  const share = taken / limit;
  if (share < WARNING_SHARE) return [];
  const status = share >= CRITICAL_SHARE ? 'critical' : 'warning';
  return [{ status, object, reason: `${taken} of ${limit} connections of ${what} are taken`, fix }];
}

export const CONNECTION_LIMIT: DoctorCheck = {
  name: 'connection-limit',
  group: 'connections',
  async examine(_session, context) {
    const { limits } = await context.once(readConnections);
    return {
      findings: judgeConnectionLimit(limits),
      summary: `${limits.taken} of ${limits.usable} connections are taken`,
    };
  },
};
