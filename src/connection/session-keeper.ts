import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, liftTimeLimitsSql } from './options.ts';
import type { OpenSessionOptions, Session } from './session.ts';

/**
 * The sessions of one worker that does the same on many schemas, one after the other: whoever closes one
 * gives it back, and the next who asks for that database gets it.
 */
export interface SessionKeeper {
  /** Gives a session that is kept, else one that `connect` opens. */
  open(
    options: Partial<ConnectionOptions>,
    opening: OpenSessionOptions,
    connect: (opening: OpenSessionOptions) => Promise<Session>,
  ): Promise<Session>;
  /** Ends the sessions that nobody uses. */
  release(): Promise<void>;
  /** Ends all sessions at once, and cancels what they run. */
  destroy(): void;
}

/** A session, and who uses it. */
interface Kept {
  key: string;
  session: Session;
  /** Whether nothing of its last user is left in it. */
  clean: Promise<boolean>;
  /** One object, so that what the driver calls back finds the user of the moment. */
  use: { user: OpenSessionOptions };
}

/** A worker and its observer. */
const MOST_IDLE = 2;

/** A session that does not answer by then is given up. */
const CLEAN_WITHIN_MS = 2_000;

/**
 * Takes away what a user leaves in a session; one message. A transaction that is still open began before it:
 * such a session is given up, because a `rollback` without one would leave a warning in the server's log each time.
 */
const CLEAN_UP = [
  'reset session authorization',
  'reset role',
  'reset all',
  'close all',
  'discard temp',
  'discard sequences',
  'unlisten *',
  'select pg_catalog.now() = pg_catalog.statement_timestamp() as "isOutside", pg_catalog.pg_advisory_unlock_all()',
].join('; ');

/**
 * Makes a keeper that keeps nothing yet. A session is its user's until they close it.
 *
 * @example
 * const keeper = createSessionKeeper();
 * for (const schema of ['tenant_a', 'tenant_b']) {
 *   await migrateUp({ connection: { ...connection, keeper }, schema, directory: 'migrations' });
 * }
 * await keeper.release();
 */
export function createSessionKeeper(): SessionKeeper {
  return new Keeper();
}

class Keeper implements SessionKeeper {
  readonly #idle: Kept[] = [];
  readonly #lent = new Set<Kept>();
  #isDestroyed = false;

  async open(
    options: Partial<ConnectionOptions>,
    opening: OpenSessionOptions,
    connect: (opening: OpenSessionOptions) => Promise<Session>,
  ): Promise<Session> {
    const { parameters, keepsTimeLimits, handsOver } = opening;
    if (parameters !== undefined || keepsTimeLimits || handsOver) return connect(opening);
    const key = keyOf(options);
    const found = await this.#takeIdle(key);
    opening.signal?.throwIfAborted();
    if (found) return this.#lend(found, opening);
    // What is kept of another database would count beside the new one.
    if (!this.#idle.some((one) => one.key === key)) await this.release();
    const use = { user: opening };
    const onClose = () => use.user.onClose?.();
    const session = await connect({ ...opening, onNotice: undefined, onClose });
    if (this.#isDestroyed) await session.close({ force: true });
    return this.#lend({ key, session, clean: Promise.resolve(true), use }, opening);
  }

  async release(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map(({ session }) => session.close()));
  }

  destroy(): void {
    this.#isDestroyed = true;
    for (const { session } of [...this.#idle.splice(0), ...this.#lent]) {
      void session.close({ force: true, cancel: true });
    }
    this.#lent.clear();
  }

  #lend(kept: Kept, user: OpenSessionOptions): Session {
    const { session, use } = kept;
    use.user = user;
    this.#lent.add(kept);
    session.onNotice((...notice) => use.user.onNotice?.(...notice));
    let isBack = false;
    const close: Session['close'] = async (options = {}) => {
      if (isBack) return;
      isBack = true;
      use.user = {};
      this.#lent.delete(kept);
      if (options.force || !this.#mayKeep(session)) return session.close(options);
      kept.clean = cleanUp(session);
      this.#idle.push(kept);
    };
    return Object.create(session, {
      close: { value: close },
      isClosed: { get: () => isBack || session.isClosed },
    });
  }

  #mayKeep({ isClosed, facts }: Session): boolean {
    return !isClosed && !facts.isPooled && !this.#isDestroyed && this.#idle.length < MOST_IDLE;
  }

  async #takeIdle(key: string): Promise<Kept | undefined> {
    for (;;) {
      // The one that was given back last: the worker of before, and not its observer.
      const at = this.#idle.findLastIndex((one) => one.key === key);
      const [found] = at < 0 ? [] : this.#idle.splice(at, 1);
      if (!found) return undefined;
      const isClean = await Promise.race([found.clean.catch(isFalse), isLate()]);
      if (isClean && !found.session.isClosed) return found;
      void found.session.close({ force: true, cancel: true });
    }
  }
}

function cleanUp(session: Session): Promise<boolean> {
  session.onNotice(() => undefined);
  const clean = session
    .run(`${CLEAN_UP}; ${liftTimeLimitsSql(session.facts)}`)
    .then(([row]) => row?.isOutside === true);
  // It is heard by the next user.
  clean.catch(() => undefined);
  return clean;
}

const isFalse = () => false;
const isLate = () => sleep(CLEAN_WITHIN_MS, false, { ref: false });

/** Sessions of the same key are the same to whoever asks for one. */
function keyOf(options: Partial<ConnectionOptions>): string {
  const { hosts, database, user, applicationName, backendOptions } = options;
  const { sslMode, targetSessionAttrs, channelBinding } = options;
  return JSON.stringify([
    ...[hosts, database, user, applicationName, backendOptions],
    ...[sslMode, targetSessionAttrs, channelBinding],
  ]);
}
