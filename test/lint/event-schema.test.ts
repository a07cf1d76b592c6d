import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { lintMigrations } from '../../src/index.lint.ts';

const directory = fileURLToPath(new URL('../../migrations', import.meta.url));

it('finds nothing in the event schema but what its files say is meant', async () => {
  const { counts, findings } = await lintMigrations({ directory });
  expect(findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
  expect(counts).toMatchObject({ error: 0, warning: 0 });
});

it('holds only characters that a database in any encoding can keep', () => {
  for (const file of readdirSync(directory)) {
    expect(readFileSync(join(directory, file), 'utf8'), file).not.toMatch(/[^\t\n\x20-\x7e]/);
  }
});
