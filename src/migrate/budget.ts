import { EvdbError } from '../errors.ts';

/** How much others may feel of a plan; what is not set is not limited. */
export interface Budget {
  /** No table with more rows is written anew. */
  rewriteRows?: number;
  /** No table with more rows is read from end to end while a lock on it blocks reads or writes. */
  scanRows?: number;
  /** No `ACCESS EXCLUSIVE` lasts longer, in ms. */
  accessExclusiveMs?: number;
  /** No lock that blocks writes lasts longer, in ms. */
  blockWritesMs?: number;
  /** Whether what cannot be judged exceeds the budget. */
  failsOnUnknown: boolean;
}

export type BudgetLimit = 'rewrite-rows' | 'scan-rows' | 'access-exclusive' | 'block-writes';

const EXAMPLE =
  'rewrite-rows=100k,scan-rows=1M,access-exclusive=500ms,block-writes=5s,unknown=fail';

/**
 * Reads a budget, such as `rewrite-rows=100k,access-exclusive=500ms`.
 *
 * @param text limits separated by commas or blanks; rows as `100000`, `100k` or `1M`, times as `500ms`,
 *   `2s` or `1min`; `unknown=fail` or `unknown=allow`
 * @throws {EvdbError} CONFIG_INVALID
 */
export function parseBudget(text: string): Budget {
  const budget: Budget = { failsOnUnknown: false };
  const parts = text.split(/[\s,]+/).filter((part) => part !== '');
  if (parts.length === 0) throw invalid('it is empty');
  for (const part of parts) {
    const [name = '', value = ''] = part.split('=', 2);
    switch (name) {
      case 'rewrite-rows':
        budget.rewriteRows = parseRows(value, part);
        break;
      case 'scan-rows':
        budget.scanRows = parseRows(value, part);
        break;
      case 'access-exclusive':
        budget.accessExclusiveMs = parseTime(value, part);
        break;
      case 'block-writes':
        budget.blockWritesMs = parseTime(value, part);
        break;
      case 'unknown':
        budget.failsOnUnknown = parseUnknown(value, part);
        break;
      default:
        throw invalid(`"${part}" is no limit that there is`);
    }
  }
  return budget;
}

const FACTORS: Record<string, number> = { '': 1, k: 1e3, M: 1e6, G: 1e9 };

function parseRows(value: string, part: string): number {
  const match = /^(\d+(?:\.\d+)?)([kMG]?)$/.exec(value.replaceAll('_', ''));
  if (match) return Number(match[1]) * (FACTORS[match[2] ?? ''] ?? 1);
  throw invalid(`"${part}" needs a number of rows`);
}

const UNITS: Record<string, number> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 };

function parseTime(value: string, part: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|min|h)$/.exec(value);
  if (match) return Number(match[1]) * (UNITS[match[2] ?? ''] ?? 1);
  throw invalid(`"${part}" needs a time with ms, s, min or h`);
}

function parseUnknown(value: string, part: string): boolean {
  if (value === 'fail') return true;
  if (value === 'allow') return false;
  throw invalid(`"${part}" is neither unknown=fail nor unknown=allow`);
}

function invalid(problem: string): EvdbError {
  return new EvdbError('CONFIG_INVALID', `the budget cannot be read: ${problem}`, {
    hint: `Write for example: ${EXAMPLE}`,
  });
}
