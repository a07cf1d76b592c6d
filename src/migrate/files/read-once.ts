import { AsyncLocalStorage } from 'node:async_hooks';

const held = new AsyncLocalStorage<Map<string, unknown>>();

/**
 * While `work` runs, each migration file is read once, however many databases it is for: all get the same
 * text, also where somebody saves the file meanwhile.
 *
 * @example
 * const tenants = ['tenant_a', 'tenant_b'];
 * await withFilesRead(() =>
 *   Promise.all(tenants.map((schema) => migrateUp({ connection, directory: 'migrations', schema }))),
 * );
 */
export function withFilesRead<T>(work: () => T): T {
  return held.run(new Map(), work);
}

/**
 * Reads something of a file, or gives what was read before where files are read once.
 *
 * @param kind what is read of it
 * @param keeps whether it may be kept; default: always
 */
export function readOnce<T>(
  kind: string,
  path: string,
  read: () => T,
  keeps: (value: Awaited<T>) => boolean = () => true,
): T {
  const known = held.getStore();
  if (!known) return read();
  const key = `${kind}\0${path}`;
  if (known.has(key)) return known.get(key) as T;
  const value = read();
  if (value instanceof Promise) {
    known.set(key, value);
    // What one of many was interrupted in, the others read again.
    const forget = () => void known.delete(key);
    value.then((one) => keeps(one) || forget(), forget);
  } else if (keeps(value as Awaited<T>)) known.set(key, value);
  return value;
}
