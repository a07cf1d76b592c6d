import { relative, sep } from 'node:path';

/**
 * A path as people want to see it. `path.relative` for each of a thousand files would take longer
 * than reading them.
 */
export function displayPath(path: string): string {
  const here = process.cwd() + sep;
  if (path.startsWith(here)) return path.slice(here.length);
  const fromHere = relative(here, path);
  return fromHere !== '' && fromHere.length < path.length ? fromHere : path;
}
