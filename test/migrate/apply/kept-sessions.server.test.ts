import { expect } from 'vitest';
import type { Session } from '../../../src/connection/session.ts';
import { createSessionKeeper, type SessionKeeper } from '../../../src/connection/session-keeper.ts';
import { migrateUp } from '../../../src/index.ts';
import { test } from '../../support/migrate-kit.ts';

/** A keeper that writes down what is sent, each message with the number of its session. */
function recordingKeeper() {
  const sent: string[] = [];
  const keeper = createSessionKeeper();
  let sessions = 0;
  const listen = (session: Session): Session => {
    const number = ++sessions;
    const note = (text: string) => sent.push(`${number}: ${text.replaceAll(/\s+/g, ' ').trim()}`);
    const run: Session['run'] = (text) => {
      note(text);
      return session.run(text);
    };
    const runEach: Session['runEach'] = (texts, onAnswer) => {
      note(texts.join('; '));
      return session.runEach(texts, onAnswer);
    };
    return Object.create(session, { run: { value: run }, runEach: { value: runEach } });
  };
  const recording: SessionKeeper = {
    open: (options, opening, connect) =>
      keeper.open(options, opening, async (used) => listen(await connect(used))),
    release: () => keeper.release(),
    destroy: () => keeper.destroy(),
  };
  return { recording, sent };
}

test('asks little for a target where the session had work for the one before', async ({
  stage,
}) => {
  const { recording, sent } = recordingKeeper();
  const upFor = (schema: string) =>
    migrateUp({
      ...stage.options,
      connection: { ...stage.options.connection, keeper: recording },
      schema,
    });
  await stage.migration('001_a', 'create table a (id integer);', 'drop table a;');
  for (const schema of ['one', 'two', 'three']) await upFor(schema);
  await stage.migration('002_b', 'create table b (id integer);', 'drop table b;');
  await upFor('one');
  sent.length = 0;
  await upFor('two');
  const count = (kind: RegExp) => sent.filter((text) => kind.test(text)).length;
  expect(count(/create table b /)).toBe(1);
  expect(count(/select \(select format from "evdb"\.ledger_format\)/)).toBe(1);
  expect(count(/from pg_catalog\.pg_locks/)).toBe(0);
  for (const schema of ['three', 'three', 'one']) await upFor(schema);
  await recording.release();
  for (const schema of ['one', 'two', 'three']) {
    expect(await stage.history(schema)).toEqual(['up 001', 'up 002']);
  }
});
