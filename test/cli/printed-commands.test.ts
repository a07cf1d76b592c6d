import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { processContext } from '../../src/cli/context.ts';
import { buildProgram } from '../../src/cli/run.ts';
import { parseSourceFile, readSourceFiles, type SourceFile } from '../support/source-files.ts';

const program = buildProgram(processContext(process), { exitCode: 0, command: '' });
const groups = program.commands.map((command) => command.name());
const verbs = program.commands
  .filter((command) => command.name() === 'migrate')
  .flatMap((command) => command.commands.map((one) => one.name()));

/** Headings and names of reports: `evdb ${command}` there is not something to run. */
const TITLES = [
  'src/cli/define.ts',
  'src/cli/watch.ts',
  'src/report/pipeline.ts',
  'src/report/pipeline-formats.ts',
];

/** What commander prints as help, and the first line of files that evdb writes. */
function withoutHelp(code: string): string {
  return code
    .replace(/\b(?:description|summary):\s*(?:'[^'\n]*'|"[^"\n]*"|`[^`]*`)/g, '')
    .replace(/^const HEAD = `-- Written by [^`]*`/m, '');
}

/** Each place where a command is written by hand, or something that nobody can paste. */
function findHandWritten({ path, code }: SourceFile): string[] {
  const text = withoutHelp(code);
  const patterns = [
    new RegExp(`\\bevdb (?:${groups.join('|')})\\b[^\\n]*`, 'g'),
    // Between the quotes of a sentence: `up` alone is no command.
    new RegExp(`\\\\\`(?:migrate )?(?:${verbs.join('|')})(?: [\\w<> -]+)?\\\\\``, 'g'),
    new RegExp(`'[^'\`\\n]*\`(?:migrate )?(?:${verbs.join('|')})(?: [\\w<> -]+)?\`[^'\\n]*'`, 'g'),
    /pg_terminate_backend\(<[^\n]*/g,
    /\bcreatedb \$[^\n]*/g,
    ...(TITLES.includes(path) ? [] : [/\bevdb \$\{[^\n]*/g]),
  ];
  return patterns.flatMap((pattern) =>
    [...text.matchAll(pattern)].map(([found]) => `${path}: ${found}`),
  );
}

const CALL = /\b(?:commandLine|sameCommand)\(\s*'([^']*)'(?:,\s*\{([^{}]*)\})?/g;

/** Each command that is printed and does not exist, or does not take the option. */
function findUnknown({ path, code }: SourceFile): string[] {
  return [...code.matchAll(CALL)].flatMap(([, name = '', flags = '']) => {
    // evdb itself, as it was called.
    if (name === '') return [];
    const command = name
      .split(' ')
      .reduce<Command | undefined>(
        (at, word) => at?.commands.find((one) => one.name() === word),
        program,
      );
    if (!command) return [`${path}: ${name}`];
    const keys = [...flags.matchAll(/(?:^|,)\s*'?([\w-]+)'?\s*(?=[:,]|\s*$)/g)].map(
      ([, key]) => `--${key}`,
    );
    return keys
      .filter((key) => key !== '--help' && !command.options.some(({ long }) => long === key))
      .map((key) => `${path}: ${name} ${key}`);
  });
}

const files = readSourceFiles();

describe('the commands that are printed', () => {
  it('come from the one place that knows how evdb was called', () => {
    expect(files.flatMap(findHandWritten)).toEqual([]);
  });

  it('exist, with the options that they are printed with', () => {
    expect(files.flatMap(findUnknown)).toEqual([]);
    const calls = files.flatMap(({ code }) => [...code.matchAll(CALL)]);
    expect(calls.length).toBeGreaterThan(60);
  });
});

describe('the rule catches', () => {
  const find = (code: string) => findHandWritten(parseSourceFile('src/migrate/a.ts', code));

  it.each([
    "hint: 'Run `evdb migrate up` again.'",
    "hint: 'If that is intended: evdb db drop --confirm'",
    ['hint: `evdb ', '{command} --confirm`'].join('$'),
    'hint: `Roll it back, then run \\`up\\` again.`',
    "hint: 'Run `migrate down` first.'",
    "hint: 'select pg_terminate_backend(<pid>);'",
    ['hint: `createdb ', '{name}`'].join('$'),
  ])('%s', (code) => {
    expect(find(code)).not.toEqual([]);
  });

  it.each([
    "description: 'judges it as `evdb lint` does'",
    "hint: 'evdb begins and commits itself'",
    '// as `evdb migrate up` does',
  ])('but not %s', (code) => {
    expect(find(code)).toEqual([]);
  });

  it('a command that does not exist, and an option that it does not take', () => {
    const of = (code: string) => findUnknown(parseSourceFile('src/migrate/a.ts', code));
    expect(of("commandLine('migrate upp')")).toEqual(['src/migrate/a.ts: migrate upp']);
    expect(of("sameCommand('db drop', { confirm: true, to: '3' })")).toEqual([
      'src/migrate/a.ts: db drop --to',
    ]);
    expect(of("commandLine('schema dump', { file })")).toEqual([]);
  });
});
