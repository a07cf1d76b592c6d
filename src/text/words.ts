function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/** Letters only, so that `migrations_dir` and `migrationsDir` are the same word. */
function fold(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '');
}

/**
 * Finds the known name that someone most likely meant.
 *
 * @returns undefined where nothing is near enough to be worth a suggestion
 * @example suggestName('migrationDir', ['schema', 'migrationsDir']) // 'migrationsDir'
 */
export function suggestName(name: string, known: Iterable<string>): string | undefined {
  // Longer input is no typing mistake, and the distance costs the product of both lengths.
  if (name.length > 64) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(fold(name).length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(fold(name), fold(candidate));
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** The end of a message about an unknown name: `; did you mean "x"?`, or nothing. */
export function renderSuggestion(name: string, known: Iterable<string>): string {
  const suggestion = suggestName(name, known);
  return suggestion === undefined ? '' : `; did you mean "${suggestion}"?`;
}

/** A state as people read it: `outOfOrder` is out-of-order. Programs get it as it stands. */
export function renderState(state: string): string {
  return state.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
