import { describe, expect, it } from 'vitest';
import { useConfigProject } from './config-kit.ts';

const { resolve, write } = useConfigProject();

describe('doctor in a config file', () => {
  it('lists what is accepted, with a reason and a last day', async () => {
    write(
      'evdb.config.json',
      JSON.stringify({
        doctor: {
          ignore: [
            { check: 'unused-indexes', object: 'public.*', reason: 'reports', until: '2027-01-31' },
            { check: 'durability', reason: 'a test server' },
          ],
        },
      }),
    );
    expect((await resolve({})).doctor).toEqual({
      ignore: [
        { check: 'unused-indexes', object: 'public.*', reason: 'reports', until: '2027-01-31' },
        { check: 'durability', reason: 'a test server' },
      ],
    });
  });

  it('may write the day in YAML without quotes', async () => {
    write(
      'evdb.config.yaml',
      'doctor:\n  ignore:\n    - check: durability\n      reason: test\n      until: 2027-01-31\n',
    );
    expect((await resolve({})).doctor.ignore).toEqual([
      { check: 'durability', reason: 'test', until: '2027-01-31' },
    ]);
  });

  it('ignores nothing where it is absent, null or empty', async () => {
    expect((await resolve({})).doctor).toEqual({ ignore: [] });
    for (const doctor of [null, {}, { ignore: null }, { ignore: [] }]) {
      write('evdb.config.json', JSON.stringify({ doctor }));
      expect((await resolve({})).doctor).toEqual({ ignore: [] });
    }
  });

  it.each([
    ['all', 'must be an object with the key ignore'],
    [{ ignores: [] }, 'unknown key "doctor.ignores"'],
    [{ ignore: 'durability' }, '"doctor.ignore" must be a list'],
    [{ ignore: ['durability'] }, '"doctor.ignore[0]" must be an object'],
    [{ ignore: [{ check: 'durability' }] }, '"doctor.ignore[0].reason" must say why'],
    [{ ignore: [{ check: 'durability', reason: ' ' }] }, '"doctor.ignore[0].reason" must say why'],
    [{ ignore: [{ reason: 'x' }] }, '"doctor.ignore[0].check" must be the name of a check'],
    [{ ignore: [{ check: 'a', reason: 'x', object: 5 }] }, '"doctor.ignore[0].object" must be'],
    [
      { ignore: [{ check: 'a', reason: 'x', until: 'soon' }] },
      '"doctor.ignore[0].until" must be a day',
    ],
    [
      { ignore: [{ check: 'a', reason: 'x', until: '2027-02-30' }] },
      '"doctor.ignore[0].until" must be a day',
    ],
    [
      { ignore: [{ check: 'a', reason: 'x', untill: '2027-02-28' }] },
      'unknown key "doctor.ignore[0].untill"',
    ],
  ])('is refused as %j', async (doctor, problem) => {
    write('evdb.config.json', JSON.stringify({ doctor }));
    await expect(resolve({})).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(problem),
    });
  });
});
