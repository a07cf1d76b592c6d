/** The lock modes of tables, weakest first, and which ones each excludes (manual, "Explicit Locking"). */
const MODES = [
  'AccessShareLock',
  'RowShareLock',
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
] as const;

/** For each mode, as a place in MODES, the weakest mode that it excludes; ShareLock lets itself in. */
const WEAKEST_EXCLUDED = [7, 6, 4, 3, 2, 2, 1, 0] as const;

/** Whether two sessions cannot hold these modes of one lock at the same time. */
export function conflict(held: string, wanted: string): boolean {
  const [a, b] = [place(held), place(wanted)];
  const weakest = WEAKEST_EXCLUDED[a];
  // An unknown mode is not taken for harmless.
  if (a < 0 || b < 0 || weakest === undefined) return true;
  if (held === 'ShareLock' && wanted === 'ShareLock') return false;
  return b >= weakest;
}

function place(mode: string): number {
  return MODES.indexOf(mode as (typeof MODES)[number]);
}
