import { describe, expect, it } from 'vitest';
import { processContext } from '../../src/cli/context.ts';
import { explainMeant } from '../../src/cli/instincts.ts';
import { buildProgram } from '../../src/cli/run.ts';

const context = {
  ...processContext(process),
  env: { PATH: '/usr/local/bin' },
  programPath: '/usr/local/bin/evdb',
  platform: 'linux' as const,
};
const program = buildProgram(context, { exitCode: 0, command: '' });

function explain(line: string) {
  return explainMeant(line.split(' '), program, context);
}

describe('a command line of another tool, or of habit,', () => {
  it.each([
    // dbmate
    ['up', 'up', 'migrate up'],
    ['rollback', 'rollback', 'migrate down'],
    ['new add_venues', 'new', 'migrate create add_venues'],
    ['dump', 'dump', 'schema dump'],
    ['wait', 'wait', 'db wait'],
    // Flyway
    ['info', 'info', 'migrate status'],
    ['migrate migrate', 'migrate', 'migrate up'],
    ['undo', 'undo', 'migrate down'],
    ['clean', 'clean', 'migrate reset'],
    // knex, with colons and without
    ['migrate:latest --env staging', 'migrate:latest', 'migrate up --env staging'],
    ['migrate latest', 'latest', 'migrate up'],
    ['migrate:make add_venues', 'migrate:make', 'migrate create add_venues'],
    ['migrate:rollback', 'migrate:rollback', 'migrate down'],
    ['migrate:up', 'migrate:up', 'migrate up'],
    // Prisma
    ['migrate deploy', 'deploy', 'migrate up'],
    ['migrate dev', 'dev', 'migrate up --watch'],
    ['db push', 'push', 'migrate up'],
    // Atlas
    ['migrate apply', 'apply', 'migrate up'],
    ['migrate lint', 'lint', 'lint'],
    ['schema inspect', 'inspect', 'schema dump'],
    // goose, golang-migrate
    ['up-by-one', 'up-by-one', 'migrate up --steps 1'],
    ['migrate force 7', 'force', 'migrate repair 7'],
    // TypeORM, Rails
    ['migration:run', 'migration:run', 'migrate up'],
    ['migration revert', 'migration', 'migrate down'],
    ['db:migrate', 'db:migrate', 'migrate up'],
    ['migrate diff', 'diff', 'schema diff'],
    ['database reset', 'database', 'migrate reset'],
    ['make:migration add_venues', 'make:migration', 'migrate create add_venues'],
    // one of the commands, without its group
    ['status --all', 'status', 'migrate status --all'],
    ['ping --url postgres://localhost/a', 'ping', 'db ping --url postgres://localhost/a'],
    ['locks', 'locks', 'stats locks'],
    ['search late jazz', 'search', 'events search late jazz'],
  ])('%s is told as evdb has it', (line, word, meant) => {
    expect(explain(line)).toEqual({ word, hint: `In evdb this is: evdb ${meant}` });
  });

  it('keeps options that evdb does not know, as leaving one out might do harm', () => {
    expect(explain('up --dryrun -d db/migrations')?.hint).toBe(
      'In evdb this is: evdb migrate up --dryrun -d db/migrations',
    );
  });

  it('keeps the options for all commands that stand in front', () => {
    expect(explain('-q status --all')?.hint).toContain('evdb migrate status --quiet --all');
  });

  it('does not show a password', () => {
    const hint = explain(
      'up --url postgres://u:secret@h/a --database=postgres://u:secret@h/b',
    )?.hint;
    expect(hint).toContain('migrate up --url');
    expect(hint).not.toContain('secret');
  });

  it('is told with the help that was asked for', () => {
    expect(explain('help rollback')?.hint).toBe('In evdb this is: evdb migrate down --help');
  });

  it.each([
    'frobnicate',
    'constructor',
    'migrate constructor',
    'toString',
    'migrate',
    'audit list',
    '',
  ])('is not guessed at where it could be anything: %j', (line) => {
    expect(explain(line)).toBeUndefined();
  });

  it.each(['migrate up', 'lint', 'types --check', 'server status', 'version'])(
    'is not taken for another one where evdb has it: %s',
    (line) => {
      expect(explain(line)).toBeUndefined();
    },
  );
});

describe('a version behind a command', () => {
  it.each([
    ['migrate up 003', 'A version is given with --to: evdb migrate up --to 003'],
    ['migrate up 003_add_venues.sql', 'A version is given with --to: evdb migrate up --to 003'],
    [
      'migrate plan 20240101120000',
      'A version is given with --to: evdb migrate plan --to 20240101120000',
    ],
    [
      'migrate down 003',
      '--to names the version that stays as the last one: evdb migrate down --to 003',
    ],
  ])('%s is given with --to', (line, hint) => {
    expect(explain(line)).toEqual({ word: undefined, hint });
  });

  it('may be a number of migrations where it is small', () => {
    expect(explain('migrate down 2 --verbose')?.hint).toBe(
      '--to names the version that stays as the last one: evdb migrate down --verbose --to 2. For a number of migrations: evdb migrate down --verbose --steps 2',
    );
  });

  it('is found behind the word of another tool too', () => {
    expect(explain('migrate goto 003')).toEqual({
      word: 'goto',
      hint: 'A version is given with --to: evdb migrate up --to 003',
    });
  });

  it.each(['migrate up soon', 'migrate up 003 004', 'migrate status 003'])(
    'is not seen in %s',
    (line) => {
      expect(explain(line)).toBeUndefined();
    },
  );
});

describe('a word behind migrate adopt', () => {
  it('is a tool, which is given with --from', () => {
    expect(explain('migrate adopt flyway')?.hint).toBe(
      'The tool is given with --from: evdb migrate adopt --from flyway',
    );
    expect(explain('migrate import Prisma --dry-run')?.hint).toBe(
      'The tool is given with --from: evdb migrate adopt --dry-run --from prisma',
    );
  });

  it('is else the folder of one, which is given with --from-dir', () => {
    expect(explain('migrate adopt db/migrate')?.hint).toMatch(
      /^The other tool's folder is given with --from-dir: evdb migrate adopt --from-dir db\/migrate\. The tool is given with --from: dbmate, /,
    );
    expect(explain('migrate adopt --from goose sql')?.hint).toBe(
      "The other tool's folder is given with --from-dir: evdb migrate adopt --from goose --from-dir sql",
    );
  });
});

it('puts a name of several words into quotes', () => {
  expect(explain('migrate create add venues')?.hint).toBe(
    "Put the name into quotes: evdb migrate create 'add venues'",
  );
  expect(explain('new add venues')?.hint).toContain("evdb migrate create 'add venues'");
});

it('knows no word for a command that is not there', async () => {
  const { COMMANDS } = await import('../../src/cli/instincts.ts');
  for (const meant of Object.values(COMMANDS)) {
    const [first, second] = meant.split(' ');
    const group = program.commands.find((one) => one.name() === first);
    const found = second ? group?.commands.find((one) => one.name() === second) : group;
    expect(found?.name(), meant).toBeDefined();
  }
});
