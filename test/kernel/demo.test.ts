/** `npm run demo` as a person runs it: it succeeds, it notices when nothing is enforced, and it leaves nothing behind. */
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { kernelTest } from '../support/needs.ts';
import { projectPath } from '../support/tools.ts';

/** Runs `use` with a temporary folder for everything that the demo writes. */
async function withTemporary(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'picket-test-'));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

kernelTest('the demo shows every pair as expected, and who decided', ['netns', 'addon'], (t) =>
  withTemporary(async (TMPDIR) => {
    const main = projectPath('demo/main.ts');
    const { exitCode, stdout } = await execa(process.execPath, [main], {
      env: { TMPDIR },
      reject: false,
    });
    t.is(exitCode, 0, stdout);
    t.is(stdout.match(/ ok {2}/g)?.length, 24);
    t.regex(stdout, /intruder {2}→ {2}web .* gnp\/block-intruder ingress\[1\], logged by/);
    t.regex(stdout, /web .*→ {2}api .* knp\/shop\/api-from-web ingress\[0\]/);
    t.regex(stdout, /db .*→ {2}web .* end of tier default: no egress rule allowed it/);
    t.deepEqual(readdirSync(TMPDIR), []);
  }),
);

kernelTest('the demo fails where nothing is enforced', ['netns', 'addon'], (t) =>
  withTemporary(async (folder) => {
    // A project that is this one, but for a picket command that only says it did something.
    for (const name of ['agent', 'build', 'compiler', 'node_modules', 'package.json']) {
      symlinkSync(projectPath(name), join(folder, name));
    }
    for (const name of ['demo', 'test']) {
      await execa('cp', ['-r', projectPath(name), join(folder, name)]);
    }
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'bin/picket'), '#!/bin/sh\necho applied\n', { mode: 0o755 });
    const main = join(folder, 'demo/main.ts');
    const { exitCode, stdout } = await execa(process.execPath, [main], { reject: false });
    t.is(exitCode, 1);
    t.regex(stdout, /19 of 24 rows are not as the policies say/);
    t.regex(stdout, /allowed .*WRONG {2}no rule of Picket saw it/);
  }),
);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  kernelTest(`the demo cleans up on ${signal}`, ['netns', 'addon'], (t) =>
    withTemporary(async (TMPDIR) => {
      const demo = execa(process.execPath, [projectPath('demo/main.ts')], {
        env: { TMPDIR },
        reject: false,
      });
      let output = '';
      await new Promise<void>((resolve) => {
        demo.stdout.on('data', (chunk: Buffer) => {
          output += chunk.toString();
          if (output.includes('$ picket apply')) resolve();
        });
      });
      const router = /--netns (\S+)/.exec(output)?.[1] ?? '';
      t.regex(router, /^\/proc\/\d+\/ns\/net$/);
      demo.kill(signal);
      const { exitCode } = await demo;
      t.is(exitCode, signal === 'SIGINT' ? 130 : 143);
      t.deepEqual(readdirSync(TMPDIR), []);
    }),
  );
}
