import { createHash } from 'node:crypto';
import { readNormalised } from './normalised-bytes.ts';

/** The checksum that `readScript` gives, without holding the file. */
export function readLargeChecksum(path: string): string {
  const sum = createHash('sha256');
  for (const block of readNormalised(path)) sum.update(block);
  return sum.digest('hex');
}
