import { hash } from 'node:crypto';
import type { Finding, FindingLocation } from '../finding.ts';
import { blockedBy, type LockMode } from '../impact/impact.ts';
import { normaliseTokens } from '../sql/lexical.ts';
import { createLocator, type Position, renderExcerpt } from '../sql/position.ts';
import type { LintEvidence, LintRuleGroup, RuleFinding, Severity } from './rule.ts';

/** What lint adds to a finding. */
export interface LintDetails {
  group?: LintRuleGroup | 'syntax' | 'directive';
  lock?: LockMode;
  /**
   * What other sessions cannot do with these tables meanwhile: `reads and writes`, `writes` or
   * `schema changes`.
   */
  blocks?: string;
  evidence?: LintEvidence;
  /** Stays when lines move: sha256 over path, rule and the statement without comments. */
  fingerprint?: string;
  /** Why `--fix` leaves it, where the rule has a fix that fits other scripts. */
  fixRefusal?: string;
  /** The page that explains the rule, relative to the package. */
  page?: string;
}

/**
 * A finding of lint: it always has a place, which ends after the last character of the statement.
 */
export interface LintFinding extends Finding<LintDetails> {
  severity: Severity;
  /** The safe way. */
  hint: string;
  location: Required<FindingLocation>;
  details: LintDetails & Required<Pick<LintDetails, 'group' | 'evidence' | 'fingerprint'>>;
}

/** A finding that a comment in the script suppresses. */
export type SuppressedLintFinding = LintFinding & { reason: string };

/** What a rule said, with who said it and how bad it is, before its place is worked out. */
export interface RawFinding extends Omit<RuleFinding, 'offset'> {
  rule: string;
  group: LintFinding['details']['group'];
  severity: Severity;
  /** In UTF-16 units of the script. */
  start: number;
  end: number;
  /** Where the statement starts that it is about, which suppressions name. */
  at: number;
  /** The statement's text, for the fingerprint. */
  statementText: string;
}

/** An id that stays when lines move. */
export function fingerprintOf(about: { file: string; rule: string; text: string }): string {
  const { file, rule, text } = about;
  return hash(
    'sha256',
    [file.replaceAll('\\', '/'), rule, normaliseTokens(text)].join('\0'),
    'hex',
  );
}

/** Tells the place of each finding of a file, in the order of the text. */
export function placeFindings(path: string, text: string, found: RawFinding[]): LintFinding[] {
  if (found.length === 0) return [];
  const sorted = [...found].sort((a, b) => a.start - b.start);
  const starts = createLocator(text);
  const fingerprints = createFingerprints(path, sorted);
  let end = -1;
  let to: Position | undefined;
  return sorted.map((raw, index) => {
    const from = starts.locate(raw.start);
    // Most findings of a statement end where it does.
    if (to === undefined || raw.end !== end)
      to = createLocator(text.slice(raw.start), from).locate(raw.end - raw.start);
    end = raw.end;
    return finish(raw, { path, text, from, to, fingerprint: () => fingerprints(index) });
  });
}

/** The fingerprints of a file's findings, made when one of them is asked for. */
function createFingerprints(file: string, found: readonly RawFinding[]) {
  let made: string[] | undefined;
  return (index: number): string => {
    made ??= fingerprintAll(file, found);
    return made[index] ?? '';
  };
}

function fingerprintAll(file: string, found: readonly RawFinding[]): string[] {
  const seen = new Map<string, number>();
  return found.map(({ rule, statementText }) => {
    const base = fingerprintOf({ file, rule, text: statementText });
    const before = seen.get(base) ?? 0;
    seen.set(base, before + 1);
    return before === 0 ? base : hash('sha256', `${base}\0${before}`, 'hex');
  });
}

function finish(
  raw: RawFinding,
  at: { path: string; text: string; from: Position; to: Position; fingerprint: () => string },
): LintFinding {
  const { rule, group, severity, message, hint, tables, lock, evidence = 'static', fix } = raw;
  const blocks = lock === undefined ? '' : blockedBy(lock);
  const hasPage = group !== 'syntax' && group !== 'directive';
  return {
    ...{ code: rule, severity, message, hint },
    location: {
      ...{ file: at.path, line: at.from.line, column: at.from.column },
      ...{ endLine: at.to.line, endColumn: at.to.column },
      // Rendered when it is asked for: it takes longer than all the rest.
      get excerpt() {
        return renderExcerpt(at.text, at.from.line, at.from.column);
      },
    },
    objects: tables,
    ...(fix !== undefined && { fix: fix.description }),
    details: {
      group,
      ...(lock !== undefined && { lock }),
      ...(blocks !== '' && { blocks }),
      evidence,
      // It takes a hash of the statement, which only some reports show.
      get fingerprint() {
        return at.fingerprint();
      },
      ...(hasPage && { page: `docs/rules/${rule}.md` }),
    },
  };
}
