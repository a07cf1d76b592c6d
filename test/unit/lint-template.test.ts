import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

it('starts behind the event schema in projects that begin with it', () => {
  const template = readFileSync('templates/evdb.config.js', 'utf8');
  const versions = readdirSync('migrations').flatMap((name) => /^\d+(?=_)/.exec(name)?.[0] ?? []);
  expect(template).toContain(`startAfter: '${versions.sort().at(-1)}'`);
});
