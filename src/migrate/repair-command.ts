/** The command line for these migrations; for several the one that lists what there is to decide. */
export function repairCommand([first, ...others]: { label: string }[]): string {
  return ['evdb migrate repair', ...(first && others.length === 0 ? [first.label] : [])].join(' ');
}
