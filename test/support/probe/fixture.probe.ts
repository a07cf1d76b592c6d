import { expect } from 'vitest';
import { test } from '../fixture.ts';

test('passes', ({ emptyDb, project }) => {
  console.log(`passed with ${emptyDb.name} and ${project.dir}`);
});

test('fails', async ({ emptyDb, project }) => {
  await emptyDb.sql`create table mark as select 'failed' as note`;
  expect(project.dir).toBe('another folder');
});
