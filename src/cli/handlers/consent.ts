import type { Config } from '../../config/resolve.ts';
import { EvdbError } from '../../errors.ts';
import { sameCommand } from '../../text/command-line.ts';
import type { CommandInput } from '../define.ts';

/** `--confirm` is the only word for consent, and most commands ask for it only where it is protected. */
export function requireConsent({ flags }: CommandInput, config: Config, command: string): void {
  if (!config.isProtected || flags.confirm || flags.dryRun) return;
  const [name = ''] = command.split(' ');
  throw new EvdbError(
    'CONFIRM_REQUIRED',
    `${environmentName(config)} is protected, and ${name} is meant for ${describeTarget(config)}`,
    {
      hint: `Nothing was changed. Look first (--dry-run), then: ${sameCommand(`migrate ${name}`, { confirm: true })}`,
    },
  );
}

export function environmentName({ environment }: Config): string {
  return environment === undefined ? 'this project' : `environment "${environment}"`;
}

/** Such as `schema "public" of database "shop" on db.example:5432`: what a command is about to change. */
export function describeTarget(config: Config): string {
  return `schema "${config.schema}" of ${describeDatabase(config)}`;
}

/** The database that commands with a session of their own go to. */
export function describeDatabase({ connection, migrationConnection }: Config): string {
  const used = migrationConnection ?? connection;
  if (used.kind === 'embedded') return 'the database of the embedded PostgreSQL';
  const { database, hosts } = used.options;
  const places = hosts.map(({ host, port }) => {
    if (host.startsWith('/')) return `${host}/.s.PGSQL.${port}`;
    return `${host.includes(':') ? `[${host}]` : host}:${port}`;
  });
  return `database "${database}" on ${places.join(', ')}`;
}
