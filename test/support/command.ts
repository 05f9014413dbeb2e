/** Runs bin/picket as a person does, in a clean environment, over files in a temporary directory. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { projectPath } from './tools.ts';

export interface CommandResult {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** `{dir}` in arguments, files and outputs stands for the directory. Files by path inside it. */
export async function picket(
  args: readonly string[],
  files: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const dir = mkdtempSync(join(tmpdir(), 'picket-test-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, name)), { recursive: true });
      writeFileSync(join(dir, name), content.replaceAll('{dir}', dir));
    }
    const { exitCode, stdout, stderr } = await execa(
      projectPath('bin/picket'),
      args.map((arg) => arg.replaceAll('{dir}', dir)),
      { env, reject: false, extendEnv: true },
    );
    const plain = (text: string): string => text.replaceAll(dir, '{dir}');
    return { exitCode, stdout: plain(stdout), stderr: plain(stderr) };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
