import { EvdbError } from '../errors.ts';

/** What the header comment of a script asks the runner for. */
export interface Directives {
  noTransaction: boolean;
  /** The reason why there is no way back. */
  irreversible?: string;
  lockTimeoutMs?: number;
  statementTimeoutMs?: number;
  ignoredRules: { rule: string; reason: string; line: number }[];
}

const DIRECTIVE = /^[ \t]*--[ \t]*evdb:[ \t]*(\S*)[ \t]*(.*)$/;
const UNITS: Record<string, number> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 };
const KNOWN = 'no-transaction, irreversible, lock-timeout, statement-timeout, ignore';

/**
 * Reads the `-- evdb:` lines among the comments before the first statement.
 *
 * @throws {EvdbError} DIRECTIVE_INVALID for an unknown directive or a value that does not fit
 */
export function parseDirectives(text: string, path: string): Directives {
  const directives: Directives = { noTransaction: false, ignoredRules: [] };
  if (!text.includes('evdb:')) return directives;
  for (const [line, content] of headerLines(text)) {
    const match = DIRECTIVE.exec(content);
    if (match) applyDirective(directives, match[1] ?? '', (match[2] ?? '').trim(), { path, line });
  }
  return directives;
}

function* headerLines(text: string): Generator<[number, string]> {
  let line = 0;
  let start = 0;
  while (start < text.length) {
    line += 1;
    const end = text.indexOf('\n', start);
    const content = text.slice(start, end === -1 ? text.length : end);
    if (!/^\s*(--|$)/.test(content)) return;
    yield [line, content];
    if (end === -1) return;
    start = end + 1;
  }
}

interface Place {
  path: string;
  line: number;
}

function applyDirective(into: Directives, name: string, value: string, at: Place): void {
  switch (name) {
    case 'no-transaction':
      if (value) throw invalid(at, `"${name}" takes no value`, 'Write: -- evdb: no-transaction');
      into.noTransaction = true;
      return;
    case 'irreversible':
      if (!value)
        throw invalid(at, `"${name}" needs a reason`, 'Write: -- evdb: irreversible <why>');
      into.irreversible = value;
      return;
    case 'lock-timeout':
      into.lockTimeoutMs = parseTimeout(name, value, at);
      return;
    case 'statement-timeout':
      into.statementTimeoutMs = parseTimeout(name, value, at);
      return;
    case 'ignore':
      into.ignoredRules.push(...parseIgnore(value, at));
      return;
    default:
      throw invalid(at, `"${name}" is not a directive`, `Known are: ${KNOWN}.`);
  }
}

function parseTimeout(name: string, value: string, at: Place): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|min|h)$/.exec(value);
  const durationMs = match ? Number(match[1]) * (UNITS[match[2] ?? ''] ?? 0) : 0;
  if (durationMs >= 1) return Math.round(durationMs);
  // Zero would switch the guard off, which is the one thing a migration may never do.
  throw invalid(
    at,
    `"${name}" needs a duration above zero, not "${value}"`,
    `Write for example: -- evdb: ${name} 2s (ms, s, min, h).`,
  );
}

/** One or more rules and a reason; lint reads them in the rest of the file as well. */
function parseIgnore(value: string, at: Place): Directives['ignoredRules'] {
  const match = /^([a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*)\s*:\s*(\S.*)$/.exec(value);
  const rules = match?.[1]?.split(',') ?? [];
  if (rules.length > 0) {
    return rules.map((rule) => ({ rule: rule.trim(), reason: match?.[2] ?? '', line: at.line }));
  }
  throw invalid(
    at,
    '"ignore" needs a rule and a reason',
    'Write: -- evdb: ignore <rule>[, <rule>]: <reason>',
  );
}

function invalid(at: Place, message: string, hint: string): EvdbError {
  return new EvdbError('DIRECTIVE_INVALID', `${at.path}:${at.line}: ${message}`, {
    hint,
    details: { file: at.path, line: at.line },
  });
}
