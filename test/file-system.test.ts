import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { writeFileWhole } from '../src/file-system.ts';

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'evdb-write-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

describe('writeFileWhole', () => {
  it('replaces a file, keeps its mode, and leaves nothing beside it', () => {
    const folder = makeFolder();
    const path = join(folder, 'a');
    writeFileSync(path, 'old');
    chmodSync(path, 0o640);
    writeFileWhole(path, 'new');
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(readdirSync(folder)).toEqual(['a']);
  });

  it('writes to the file that a link leads to', () => {
    const folder = makeFolder();
    writeFileSync(join(folder, 'a'), 'old');
    symlinkSync('a', join(folder, 'link'));
    writeFileWhole(join(folder, 'link'), 'new');
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('new');
  });

  it('refuses to replace what must be new', () => {
    const folder = makeFolder();
    writeFileSync(join(folder, 'a'), 'old');
    expect(() => writeFileWhole(join(folder, 'a'), 'new', { isNew: true })).toThrow(
      expect.objectContaining({ code: 'EEXIST' }),
    );
    writeFileWhole(join(folder, 'b'), 'new', { isNew: true });
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['a', 'b']);
  });

  it.skipIf(process.platform !== 'linux' || process.getuid?.() !== 0)(
    'keeps the old file where the disk is full (needs root, to mount one)',
    ({ skip }) => {
      const folder = makeFolder();
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], {
          stdio: 'ignore',
        });
      } catch {
        skip('this container may not mount');
      }
      onTestFinished(() => void execFileSync('umount', [folder]));
      const path = join(folder, 'a');
      writeFileSync(path, 'old');
      expect(() => writeFileWhole(path, 'x'.repeat(200_000))).toThrow(
        expect.objectContaining({ code: 'ENOSPC' }),
      );
      expect(() => writeFileWhole(join(folder, 'b'), 'x'.repeat(200_000), { isNew: true })).toThrow(
        expect.objectContaining({ code: 'ENOSPC' }),
      );
      expect(readFileSync(path, 'utf8')).toBe('old');
      expect(readdirSync(folder)).toEqual(['a']);
    },
  );
});
