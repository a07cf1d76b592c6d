import { describe, expect, it } from 'vitest';
import { resolveRegistrarOptions } from '../../src/events/registrar.ts';

describe('the options of a registrar', () => {
  it('leave half of the pool to others, and take one connection of a pool of one', () => {
    expect(resolveRegistrarOptions({}, 10).maxInFlight).toBe(5);
    expect(resolveRegistrarOptions({}, 1).maxInFlight).toBe(1);
    expect(resolveRegistrarOptions({ maxInFlight: 9 }, 10).maxInFlight).toBe(9);
  });

  it.each([
    { maxBatchSize: 0 },
    { maxBatchSize: 10_001 },
    { maxBatchSize: 2.5 },
    { maxDelayMs: -1 },
    { maxDelayMs: Number.NaN },
    { maxPending: 0 },
    { maxPending: Number.POSITIVE_INFINITY },
    { maxInFlight: 0 },
    { maxAttempts: '3' as unknown as number },
    { whenFull: 'drop' as 'wait' },
  ])('refuse %o by name', (options) => {
    const [name = ''] = Object.keys(options);
    expect(() => resolveRegistrarOptions(options, 10)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(name) }),
    );
  });

  it('refuse a name that they do not know', () => {
    const options = { maxBatchsize: 10 } as object;
    expect(() => resolveRegistrarOptions(options, 10)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining('maxBatchsize') }),
    );
  });
});
