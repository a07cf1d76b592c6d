import type { Config } from '../../config/resolve.ts';
import { EvdbError } from '../../errors.ts';
import type { CommandInput } from '../define.ts';

/** `--confirm` is the only word for consent, and most commands ask for it only where it is protected. */
export function requireConsent({ flags }: CommandInput, config: Config, command: string): void {
  if (!config.isProtected || flags.confirm || flags.dryRun) return;
  throw new EvdbError('CONFIRM_REQUIRED', `${environmentName(config)} is protected`, {
    hint: `Nothing was changed. Look first (--dry-run), then: evdb migrate ${command} --confirm`,
  });
}

export function environmentName({ environment }: Config): string {
  return environment === undefined ? 'this project' : `environment "${environment}"`;
}
