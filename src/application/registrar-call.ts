import type { RegistrationResult } from './registration-answer.ts';
import type { RegistrationOptions } from './registration-arguments.ts';

/** One `register` that is not answered yet. */
export interface Call {
  /** Ascending in the order of arrival. */
  readonly number: number;
  readonly userId: number;
  readonly eventId: number;
  /** Only where they ask for more than a batch can do. */
  readonly options: RegistrationOptions | undefined;
  readonly arrivedAtMs: number;
  /** How often it was tried in vain. */
  attempts: number;
  /** `asked`: the pool has it, and may still be looking for a connection. */
  state: 'queued' | 'asked' | 'sent' | 'settled';
  resolve(result: RegistrationResult): void;
  reject(error: unknown): void;
}
