// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what stands in .env looks like that

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readDotenv } from '../../src/config/environment.ts';
import { useConfigProject } from './config-kit.ts';

const project = useConfigProject();

function read(text: string, real: Record<string, string> = {}) {
  project.write('.env', text);
  return readDotenv(project.dir, real);
}

describe('a value of .env', () => {
  it.each([
    ['another line', 'DB=shop\nX=postgres://h/${DB}', 'postgres://h/shop'],
    ['a later line', 'X=${A}\nA=${B}\nB=b', 'b'],
    ['a name without braces', 'DB=shop\nX="$DB-1"', 'shop-1'],
    ['the environment', 'X=${HOST}', 'real'],
    ['the environment before a line', 'HOST=line\nX=$HOST', 'real'],
    ['an empty variable of the environment', 'EMPTY=line\nX=a${EMPTY}b', 'ab'],
    ['its own name in the environment', 'HOST=x.$HOST\nX=$HOST', 'real'],
    ['a default', 'X=${NONE:-fall}', 'fall'],
    ['a default for what is empty', 'X=${EMPTY:-fall}', 'fall'],
    ['a default for what is not set alone', 'X=[${EMPTY-fall}]', '[]'],
    ['a default that names another', 'B=b\nX=${NONE:-${B}c}d', 'bcd'],
    ['a value over several lines', 'B=b\nX="1\n${B}"', '1\nb'],
    ['behind export', 'export B=b\nexport X=${B}', 'b'],
  ])('takes in %s', async (_, text, value) => {
    const { variables, warnings } = await read(text, { HOST: 'real', EMPTY: '' });
    expect(variables.X).toBe(value);
    expect(warnings).toEqual([]);
  });

  it.each([
    ['in single quotes', "B=b\nX='${B} $B'", '${B} $B'],
    ['behind a backslash', 'B=b\nX=\\${B}\\$B', '${B}$B'],
    ['behind a backslash in double quotes', 'B=b\nX="\\${B} \\$B"', '${B} $B'],
    ['that nobody has set, as in a password', 'X=pa$word$', 'pa$word$'],
    ['before a digit', 'X=pa$1$$2', 'pa$1$$2'],
    ['in a value that is put in', "B='$C'\nC=c\nX=$B", '$C'],
    ['of the environment that is put in', 'B=b\nX=$REAL', '$B'],
    ['of a brace that stays open', 'B=b\nX=${B', '${B'],
    ['of what a shell alone can do', 'B=b\nX=${B%x}${B:1}$(pwd)', '${B%x}${B:1}$(pwd)'],
  ])('keeps a $ %s', async (_, text, value) => {
    expect((await read(text, { REAL: '$B' })).variables.X).toBe(value);
  });

  it('keeps a $ of its own name', async () => {
    expect((await read('X=$X:b')).variables.X).toBe('$X:b');
    expect((await read('X=$A\nA=$X')).variables.X).toMatch(/^\$[AX]$/);
  });

  it('with a name in braces that nobody has set is told of where evdb reads it', async () => {
    const { warnings } = await read('EVDB_URL=postgres://h/${DB_NAM}\nOTHER=${NONE}');
    expect(warnings).toEqual([
      '.env EVDB_URL: there is no variable DB_NAM, so ${DB_NAM} stays as it is',
    ]);
  });

  it('names the database', async () => {
    const dotenv = 'DB=shop\nHOST=db.example.org\nDATABASE_URL="postgres://app@${HOST}:5433/${DB}"';
    const { connection } = await project.resolve({ dotenv });
    expect(connection).toMatchObject({
      options: { hosts: [{ host: 'db.example.org', port: 5433 }], database: 'shop' },
    });
  });
});

it.skipIf(process.platform === 'win32')('a pipe is no .env, and nobody waits for it', async () => {
  execFileSync('mkfifo', [join(project.dir, '.env')]);
  await expect(readDotenv(project.dir, {})).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('is not a regular file'),
  });
});
