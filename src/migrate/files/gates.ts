import { splitStatements } from '../../sql/statements.ts';
import { isVersion, parseVersion, type Version } from './version.ts';

/** What has to hold before a migration runs, as a line of its header asks. */
export type Gate = { text: string; line: number } & (
  | { kind: 'after-backfill'; version: Version }
  | { kind: 'require'; query: string }
  | { kind: 'require-build'; application: string; build: string }
);

/** A query that has to give true after the statements of a migration, in its transaction. */
export interface Ensured {
  query: string;
  line: number;
}

/** Why a line cannot be read, and how to write it. */
export interface GateProblem {
  message: string;
  hint: string;
}

export const GATE_DIRECTIVES = ['after', 'require', 'require-build'];

/** Reads a gate from the name of its directive and what follows it. */
export function parseGate(name: string, value: string, line: number): Gate | GateProblem {
  const text = `${name} ${value}`;
  if (name === 'after') {
    const [, label = ''] = /^backfill\s+(\S+)$/i.exec(value) ?? [];
    if (isVersion(label))
      return { kind: 'after-backfill', version: parseVersion(label), text, line };
    return {
      message: '"after" needs the version of a backfill',
      hint: 'Write for example: -- evdb: after backfill 014',
    };
  }
  if (name === 'require') {
    const query = parseQuery(name, value);
    return typeof query === 'string' ? { kind: 'require', query, text, line } : query;
  }
  const [, application, build] = /^([^\s/]+)\s*>=\s*(\d\S*)$/.exec(value) ?? [];
  if (application !== undefined && build !== undefined)
    return { kind: 'require-build', application, build, text, line };
  return {
    message: '"require-build" needs the name of an application and its oldest version',
    hint: 'Write for example: -- evdb: require-build checkout >= 1.8',
  };
}

/** The one query of a line, without a semicolon at its end. */
export function parseQuery(name: string, value: string): string | GateProblem {
  const statements = splitStatements(value);
  const [first] = statements;
  if (first && statements.length === 1 && /^(select|values|with|table)\b/i.test(first.text))
    return first.text;
  return {
    message: `"${name}" needs one query that gives true or false`,
    hint: `Write for example: -- evdb: ${name} select not exists (select from events where venue is null)`,
  };
}

/**
 * Whether a build is the wanted one or a newer one: numbers are compared one by one, and a suffix such as
 * `-rc.1` makes a version older than the same without it. False for what is no version.
 */
export function isBuildAtLeast(build: string, wanted: string): boolean {
  const [ours, theirs] = [readBuild(build), readBuild(wanted)];
  if (!ours || !theirs) return false;
  for (let at = 0; at < Math.max(ours.numbers.length, theirs.numbers.length); at++) {
    const difference = (ours.numbers[at] ?? 0) - (theirs.numbers[at] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return !ours.isEarly || theirs.isEarly;
}

function readBuild(text: string): { numbers: number[]; isEarly: boolean } | undefined {
  const [, numbers, suffix = ''] = /^v?(\d+(?:\.\d+)*)(.*)$/.exec(text) ?? [];
  if (numbers === undefined) return undefined;
  return { numbers: numbers.split('.').map(Number), isEarly: suffix.startsWith('-') };
}
