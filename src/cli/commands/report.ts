import { Option } from 'commander';
import { type CommandSpec, handlersOf } from '../define.ts';
import { migrateOptions, parseSeconds, parseWithin } from '../options.ts';

const handler = handlersOf(() => import('../handlers/report.ts'));

export const REPORT_COMMAND: CommandSpec = {
  name: 'report',
  summary: 'show all of a database at once, as a page to keep and to send',
  description:
    'Reads the findings of doctor, migrations, sizes and their growth, the use of indexes, statements, sessions, locks, sequences, wraparound, and what people register for. With --out it writes one HTML file that needs no network; without, each topic is a line. It uses three connections at most, waits for no lock and changes nothing. What this role may not see is unknown, never empty.',
  options: () => [
    new Option('--out <file>', 'write the page there (default: print a line for each topic)'),
    new Option(
      '--audit-days <n>',
      'how many days entries of the audit log are to stay (default: 90)',
    ).argParser(parseWithin(1, 36_500)),
    new Option(
      '--check-timeout <duration>',
      'how long each statement may run (default: 10s)',
    ).argParser(parseSeconds),
    new Option('--full', 'print every kind of finding (default: the first ten)'),
    ...migrateOptions(),
  ],
  examples: ['report', 'report --out report.html', 'report --json'],
  run: handler('handleReport'),
};
