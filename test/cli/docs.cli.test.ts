import { readdirSync } from 'node:fs';
import { chmod, readFile, rm, symlink } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import postgres from 'postgres';
import { describe, expect, inject, it } from 'vitest';
import { findHome } from '../../src/embedded/home.ts';
import { stopEmbeddedServer } from '../../src/embedded/stop.ts';
import { type DocBlock, findAfter, findBlocks, missingLines } from '../support/doc-blocks.ts';
import { type TestDatabase, test } from '../support/fixture.ts';
import { run } from '../support/npm-tool.ts';
import { whyNoOwnServer } from '../support/own-server.ts';
import { scrubEnvironment } from '../support/run-cli.ts';

const node = process.env.EVDB_TEST_NODE || process.execPath;
const pageMs = 300_000;

const PAGES = [
  'docs/fleets.md',
  'README.md',
  'SKILL.md',
  ...readdirSync('docs/guides')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/guides/${name}`),
];

/** The package is there as `npm install` leaves it; test/cli/package.cli.test.ts installs it for real. */
const INSTALLS = /^npm (install evdb|ci)( *#.*)?$/gm;

/** Their readers say `--embedded`, or name the database in `.env`. */
const UNCONFIGURED = ['README.md', 'docs/guides/development.md', 'docs/guides/roles.md'];

/** For what a page does beside the commands of its reader: `sql 'create role …'`, as a superuser. */
const SQL = `sql() { node --input-type=module -e '
import postgres from "postgres";
const sql = postgres(process.env.URL, { onnotice() {} });
await sql.unsafe(process.argv[1]);
await sql.end();' "$1"; }
`;

interface Reader {
  dir: string;
  database: TestDatabase;
  isConfigured: boolean;
}

function inShell({ dir, database, isConfigured }: Reader, text: string) {
  const env = {
    ...scrubEnvironment(process.env),
    PATH: [join(dir, 'node_modules/.bin'), dirname(node), process.env.PATH].join(delimiter),
    ...(isConfigured && { EVDB_URL: database.url }),
    URL: database.url,
    npm_config_update_notifier: 'false',
    GIT_CONFIG_GLOBAL: '/dev/null',
    ...{ GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@example.org' },
    ...{ GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@example.org' },
  };
  return run('bash', ['-ec', text], { cwd: dir, env });
}

async function prepare(reader: Reader, text: string): Promise<void> {
  const { code, output } = await inShell(reader, SQL + text);
  if (code !== 0) throw new Error(`${text} ended with ${code}:\n${output}`);
}

/** The role logs in by nothing but `set role`: what counts here is what it may do. */
async function runSql({ database }: Reader, { text, by }: DocBlock): Promise<string> {
  const [, role, refused] = /^as (\w+)(, refused)?$/.exec(by) ?? [];
  const session = postgres(database.url, { max: 1, onnotice: () => {} });
  try {
    if (role !== undefined) await session.unsafe(`set role ${role}`);
    const outcome = session.unsafe(text);
    if (refused) await expect(outcome, text).rejects.toMatchObject({ code: '42501' });
    return JSON.stringify(await outcome.catch(() => []));
  } finally {
    await session.end();
  }
}

async function runBlock(reader: Reader, page: string, block: DocBlock): Promise<void> {
  if (block.before !== '') await prepare(reader, block.before);
  const { code, output } =
    block.language === 'sql'
      ? { code: 0, output: await runSql(reader, block) }
      : await inShell(reader, block.text.replace(INSTALLS, 'true'));
  const where = `${page}:${block.line}\n${block.text}\n${output}`;
  expect(code, where).toBe(block.exitCode);
  expect(missingLines(block.shown, output), where).toEqual([]);
}

describe.skipIf(whyNoOwnServer())('the blocks of shell and SQL', () => {
  for (const page of PAGES) {
    test(
      `of ${page} do what the page says`,
      async ({ project: { dir }, emptyDb: database }) => {
        const text = await readFile(page, 'utf8');
        const reader = { dir, database, isConfigured: !UNCONFIGURED.includes(page) };
        await chmod(dir, 0o755);
        await symlink(join(inject('packedProject'), 'node_modules'), join(dir, 'node_modules'));
        try {
          for (const block of findBlocks(text)) {
            if (block.notRun === undefined) await runBlock(reader, page, block);
          }
        } finally {
          await prepare(reader, findAfter(text));
          const directory = join(dir, '.evdb');
          await stopEmbeddedServer({ directory });
          const home = findHome(directory);
          if (home) await rm(home, { recursive: true, force: true });
        }
      },
      pageMs,
    );
  }
});

describe('the reader of pages', () => {
  it('finds what is to be run, before what, how it ends and what it prints', () => {
    const page =
      'Text\n\n<!-- exit: 3 -->\n<!-- before:\na\nb\n-->\n\n```sh\nc\n```\n\n```text\nd … e\n```\n\n<!-- not run: it needs a cloud -->\n```sh\nf\n```\n\n```sql\ng\n```\n\n<!-- run: as x, refused -->\n```sql\nh\n```\n';
    const none = { language: 'sh', before: '', exitCode: 0, shown: [], by: '' };
    expect(findBlocks(page)).toEqual([
      { ...none, line: 10, text: 'c\n', before: 'a\nb', exitCode: 3, shown: ['d … e'] },
      { ...none, line: 19, text: 'f\n', notRun: 'it needs a cloud' },
      { ...none, language: 'sql', line: 28, text: 'h\n', by: 'as x, refused' },
    ]);
  });

  it('misses lines that are not printed, or in another order', () => {
    expect(missingLines(['a … c', 'd'], 'a  b   c\nd\n')).toEqual([]);
    expect(missingLines(['d', 'a … c'], 'a b c\nd\n')).toEqual(['a … c']);
    expect(missingLines(['a.c'], 'abc\n')).toEqual(['a.c']);
  });
});
