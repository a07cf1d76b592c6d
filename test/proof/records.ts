import { writeFile } from 'node:fs/promises';

/** What one disturbed run was, and what was found wrong after it. */
export interface RunRecord {
  /** Repeats it: `npm run test:faults -- --runs 1 --seed <seed>`. */
  seed: number;
  schema: string;
  operation: string;
  disturbance: string;
  kinds: string[];
  /** Whether the disturbance came before the command was over. */
  struck: boolean;
  /** How the disturbed command ended: an error's code, an exit code or a signal. */
  outcome: string;
  wrong: string[];
}

/** How much is wanted of a proof, and from which seed on: what its command says, or what takes seconds. */
export function settings<Size extends Record<string, number>>(
  name: string,
  short: Size,
): Size & { seed: number } {
  const { EVDB_PROOF: chosen, EVDB_PROOF_SEED: seed = '1', EVDB_PROOF_SIZES: sizes } = process.env;
  if (chosen !== name) return { ...short, seed: 1 };
  return { ...short, ...(sizes && JSON.parse(sizes)), seed: Number(seed) };
}

/** Leaves what one test of a proof counted for the command that asked for it, beside the others. */
export async function keepCounts(name: string, what: string, counts: object): Promise<void> {
  const { EVDB_PROOF: chosen, EVDB_PROOF_OUT: file } = process.env;
  if (chosen === name && file) await writeFile(`${file}.${what}`, JSON.stringify(counts));
}

/** Leaves what was measured for the command that asked for it. */
export async function keepRecords(
  name: string,
  kept: { server: string; records: readonly RunRecord[] },
): Promise<void> {
  const { EVDB_PROOF: chosen, EVDB_PROOF_OUT: file } = process.env;
  if (chosen === name && file) await writeFile(file, JSON.stringify(kept));
}
