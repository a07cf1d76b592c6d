import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { addEvent, addUsers, letEventPass, only, registerBatch } from './event-schema-stage.ts';

describe('validate_business_rules', () => {
  const broken = (sql: postgres.Sql) => sql`
    select rule_name, violation_count, severity, sample_ids from validate_business_rules()`;

  test('has nothing to say about a healthy database', async ({ db }) => {
    expect(await broken(db.sql)).toEqual([]);
    const users = await addUsers(db.sql, 3);
    const event = await addEvent(db.sql, { createdBy: only(users[0]) });
    await registerBatch(db.sql, users, event);
    await letEventPass(db.sql, await addEvent(db.sql));
    expect(await broken(db.sql)).toEqual([]);
  });

  test('finds what disabled triggers and dropped constraints left behind', async ({ db }) => {
    const { sql } = db;
    const users = await addUsers(sql, 4);
    const event = await addEvent(sql, { capacity: 2, createdBy: only(users[0]) });
    const other = await addEvent(sql, { createdBy: only(users[3]) });
    const [ann, bob, cid] = users;
    await sql
      .unsafe(`
      alter table registrations drop constraint registrations_user_id_event_id_key;
      alter domain registration_status drop constraint registration_status_is_known;
      set session_replication_role = replica;
      insert into registrations (user_id, event_id, status) values
        (${ann}, ${event}, 'confirmed'), (${ann}, ${event}, 'confirmed'), (${bob}, ${event}, 'confirmed'),
        (${cid}, 777, 'waitlist'), (888, ${event}, 'pending'), (${cid}, ${event}, 'perhaps');
      update events set created_by = 999 where id = ${other};
      update users set is_active = false where id = ${ann};
      set session_replication_role = origin;
      alter table users disable trigger users_90_audit_update;
    `)
      .simple();
    const ids = await sql<{ id: number }[]>`select id from registrations order by id`;
    const [r1, r2, , r4, r5, r6] = ids.map((row) => row.id);
    const rule = (name: string, count: number, severity: string, samples: unknown) => ({
      rule_name: name,
      violation_count: count,
      severity,
      sample_ids: samples,
    });
    expect(await broken(sql)).toEqual([
      rule('capacity_exceeded', 1, 'error', [event]),
      rule('disabled_triggers', 1, 'error', null),
      rule('duplicate_registrations', 1, 'error', [event]),
      rule('events_without_creator', 1, 'error', [other]),
      rule('registration_count_mismatch', 1, 'error', [event]),
      rule('registrations_without_event', 1, 'error', [r4]),
      rule('registrations_without_user', 1, 'error', [r5]),
      rule('unknown_status', 1, 'error', [r6]),
      rule('events_of_inactive_creators', 1, 'warning', [event]),
      rule('registrations_of_inactive_users', 2, 'warning', [r1, r2]),
    ]);
    const [disabled] = await sql`
      select details from validate_business_rules() where rule_name = 'disabled_triggers'`;
    expect(disabled?.details).toContain('users_90_audit_update on users');
  });
});
