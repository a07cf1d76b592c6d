import { commandLine } from '../../text/command-line.ts';
import type { LintRule } from '../rule.ts';

/** SQL that only exists while the migration runs. */
export const opaqueSql: LintRule = {
  name: 'opaque-sql',
  group: 'tx',
  severity: 'info',
  summary: 'runs SQL that cannot be read before it runs',
  check: ({ isDynamic }) =>
    isDynamic
      ? [
          {
            message:
              'runs SQL that is put together while it runs, so nothing is known of its locks',
            hint: `Write the statements out, or see what they do on a scratch database: ${commandLine('migrate plan', { trace: true })}`,
            tables: [],
          },
        ]
      : [],
};
