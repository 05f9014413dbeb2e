/**
 * Writes agent/netlink/uapi.generated.ts: compiles test/tools/gen-uapi.c with `cc` ($CC) against the installed kernel headers
 * and keeps what it prints. `--check` compares instead and exits 1 on a difference. The printed values are kernel ABI: they are
 * the same under every header version that has them, so the version is not part of the file.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SOURCE = join(import.meta.dirname, '../test/tools/gen-uapi.c');
const TARGET = join(import.meta.dirname, '../agent/netlink/uapi.generated.ts');

function generate(): string {
  const folder = mkdtempSync(join(tmpdir(), 'picket-codegen-'));
  try {
    const program = join(folder, 'gen-uapi');
    execFileSync(
      process.env['CC'] ?? 'cc',
      ['-Wall', '-Wextra', '-Werror', '-o', program, SOURCE],
      {
        stdio: 'inherit',
      },
    );
    return execFileSync(program, { encoding: 'utf8' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const text = generate();
if (!process.argv.includes('--check')) {
  writeFileSync(TARGET, text);
} else if (readFileSync(TARGET, 'utf8') !== text) {
  console.error(`${TARGET} differs from what the kernel headers give: run node scripts/codegen.ts`);
  process.exitCode = 1;
}
