/** A state as people read it: `outOfOrder` is out-of-order. Programs get it as it stands. */
export function renderState(state: string): string {
  return state.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
