import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';

interface Finding {
  file: string;
  line: number;
  rule_name: string;
  message: string;
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const squawk = createRequire(import.meta.url).resolve('squawk-cli/js/bin/squawk');

/** What squawk finds with the project's configuration; it exits with 1 where that is something. */
async function lint(files: string[]): Promise<Finding[]> {
  const run = promisify(execFile)(
    process.execPath,
    [squawk, '--config', `${root}.squawk.toml`, '--reporter', 'json', ...files],
    { cwd: root },
  );
  const { stdout } = await run.catch((error: { code?: unknown; stdout: string }) => {
    if (error.code !== 1) throw error;
    return error;
  });
  return JSON.parse(stdout);
}

async function listFiles(isDown: boolean): Promise<string[]> {
  const names = await readdir(`${root}migrations`);
  return names
    .filter((name) => name.endsWith('.sql') && name.endsWith('.down.sql') === isDown)
    .filter((name) => Number.parseInt(name, 10) >= 7)
    .map((name) => `migrations/${name}`);
}

describe('squawk', () => {
  test('finds nothing in the migrations from 007 on', async () => {
    const files = await listFiles(false);
    expect(files.length).toBeGreaterThanOrEqual(5);
    expect(await lint(files)).toEqual([]);
  });

  test('finds nothing in their down scripts but that they drop what the migration made', async () => {
    const files = await listFiles(true);
    expect(files.length).toBeGreaterThanOrEqual(5);
    const findings = await lint(files);
    expect(findings.filter((finding) => finding.rule_name !== 'ban-drop-table')).toEqual([]);
  });

  test('finds what would lock a table in use, so that its silence means something', async ({
    project,
  }) => {
    const file = await project.migration(
      '012_add_index',
      'create index users_name_idx on users (name);\nalter table users add column age int not null;',
    );
    const findings = await lint([file]);
    expect(findings.map((finding) => [finding.line, finding.rule_name])).toEqual(
      expect.arrayContaining([
        [0, 'require-concurrent-index-creation'],
        [1, 'adding-required-field'],
      ]),
    );
  });
});
