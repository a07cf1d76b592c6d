import { describe, expect, it } from 'vitest';
import {
  createRegistrationClient,
  getEventStats,
  type RegistrationOptions,
  safeEventRegistration,
  safeEventUnregistration,
} from '../../src/events/registration.ts';
import type { Queryable } from '../../src/pool/handle.ts';

/** Answers every statement alike, and remembers what was sent. */
function answering(answer: unknown) {
  const sent: { text: string; params: readonly unknown[] | undefined }[] = [];
  const queryable: Queryable = {
    query: async <T>(text: string, params?: readonly unknown[]) => {
      sent.push({ text, params });
      const rows = [{ answer: answer === null ? null : JSON.stringify(answer) }] as T[];
      return { rows, rowCount: 1, command: 'SELECT', fields: [] };
    },
  };
  return { sent, queryable };
}

const noIds = [
  0,
  -1,
  1.5,
  2_147_483_648,
  Number.NaN,
  '7',
  null,
  undefined,
  {},
  Object.create(null),
];

describe('the registration client', () => {
  it.each(noIds)('sends nothing for the id %s', async (given) => {
    const id = given as number;
    const { sent, queryable } = answering({});
    const client = createRegistrationClient(queryable);
    const calls = [
      client.register(id, 1),
      client.register(1, id),
      client.unregister(id, 1),
      client.unregister(1, id),
      client.eventStats(id),
      safeEventRegistration(queryable, id, 1),
      safeEventUnregistration(queryable, 1, id),
      getEventStats(queryable, id),
    ];
    for (const one of await Promise.allSettled(calls)) {
      expect(one).toMatchObject({ status: 'rejected', reason: { code: 'USAGE' } });
    }
    expect(sent).toEqual([]);
  });

  it.each([
    { holdMs: 0 },
    { holdMs: 86_400_001 },
    { holdMs: Number.NaN },
    { holdMs: '10 minutes' as unknown as number },
    { joinWaitlist: 'yes' as unknown as boolean },
    { holdMS: 60_000 } as RegistrationOptions,
    null as unknown as RegistrationOptions,
  ])('sends nothing for the options %o', async (options) => {
    const { sent, queryable } = answering({});
    const { register } = createRegistrationClient(queryable);
    await expect(register(1, 1, options)).rejects.toMatchObject({ code: 'USAGE' });
    expect(sent).toEqual([]);
  });

  it('refuses options that do not exist', async () => {
    const { sent, queryable } = answering({});
    const { unregister } = createRegistrationClient(queryable);
    await expect(unregister(1, 1, { keeps: true } as object)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('keep'),
    });
    expect(() => createRegistrationClient(queryable, { shema: 'a' } as object)).toThrow(
      expect.objectContaining({ code: 'USAGE' }),
    );
    expect(sent).toEqual([]);
  });

  it('quotes the schema', async () => {
    const { sent, queryable } = answering(null);
    await createRegistrationClient(queryable, { schema: 'Team "A"' }).eventStats(1);
    expect(sent[0]?.text).toContain('"Team ""A""".get_event_registration_stats');
    expect(() => createRegistrationClient(queryable, { schema: '' })).toThrow(
      expect.objectContaining({ code: 'INVALID_NAME' }),
    );
  });

  it.each([
    null,
    {},
    { success: false, error_code: 'P0005' },
    { success: false, error_code: 'P9999' },
    { success: true, registration_id: 1, registered_at: 'soon', status: 'confirmed' },
    { success: true, registration_id: 1, registered_at: '2030-01-01T00:00:00Z', status: 'lost' },
    { success: true, registered_at: '2030-01-01T00:00:00Z', status: 'confirmed' },
  ])('refuses the answer %o, which it does not know', async (answer) => {
    const { register } = createRegistrationClient(answering(answer).queryable);
    await expect(register(1, 1)).rejects.toMatchObject({ code: 'UNKNOWN_ANSWER' });
  });
});
