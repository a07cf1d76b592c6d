import type { Rule } from './rule.ts';
import { concurrentlyInTx } from './rules/concurrently-in-tx.ts';
import { opaqueSql } from './rules/opaque-sql.ts';

/** Every rule, in the order in which findings of one statement are told. */
export const RULES: readonly Rule[] = [concurrentlyInTx, opaqueSql];
