import { InvalidArgumentError, Option } from 'commander';
import { parseServerVersion } from '../../config/lint-settings.ts';
import type { CommandSpec } from '../define.ts';
import { configOptions, repeated, setOption } from '../options.ts';

/** Gives server_version_num. */
function parseMajor(text: string): number {
  const version = parseServerVersion(text);
  if (version !== undefined) return version;
  throw new InvalidArgumentError('It must be a major version from 14 on.');
}

export const LINT_COMMAND: CommandSpec = {
  name: 'lint',
  summary: 'find what would block, break or lose something, without a database',
  description:
    'Judges migrations by their text and by what the earlier ones left: locks, rewrites, scans, lost data, transactions. Reads files alone. Exits 3 when it finds an error; with --strict for warnings too.',
  arguments: [['[files...]', 'files or folders (default: the folder of the migrations)']],
  options: () => [
    new Option('--strict', 'exit 3 for warnings too'),
    new Option('--verbose', 'also list what is for information only'),
    repeated('--rule <name>', 'only this rule; several: again, or with commas'),
    new Option('--start-after <version>', 'leave migrations up to this version alone'),
    new Option(
      '--server-version <major>',
      'the oldest server they are for (default: 14)',
    ).argParser(parseMajor),
    new Option(
      '--fix',
      'edit what can be fixed with certainty, in migrations that are not applied',
    ),
    new Option('--dry-run', 'with --fix: show the edits and write nothing'),
    new Option('--list-rules', 'list the rules'),
    new Option('--explain <rule>', 'print the page about a rule'),
    new Option('--schema <name>', 'schema to migrate (default: public)'),
    new Option('--migrations-dir <path>', 'folder of the migrations (default: migrations)'),
    setOption(),
    ...configOptions(),
  ],
  examples: [
    'lint',
    'lint migrations/007_add_venues.sql',
    'lint --strict --start-after 006',
    'lint --fix --dry-run',
    'lint --explain index-not-concurrent',
  ],
  hasFormats: true,
  run: async (input) => (await import('../handlers/lint.ts')).handleLint(input),
};
