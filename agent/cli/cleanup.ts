/** `picket cleanup`: removes the table, nothing else. */
import { Command } from 'commander';
import { NetlinkDataplane } from '../dataplane/netlink-dataplane.ts';
import { ApplyError } from '../engine/engine.ts';
import { dropPending, dropUndoing, forgetUndone } from '../guard/pending.ts';
import { loadNative } from '../native/native.ts';
import { explainSystemError } from '../state/files.ts';
import { forgetLastGood } from '../state/last-good.ts';
import type { Directories } from '../state/panic.ts';
import { EXIT } from './exit.ts';
import { directoriesOf } from './guarded.ts';
import { runningAgent } from './lock.ts';
import { configOption, netnsOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { printJson, printLine } from './report.ts';
import { loadSettings } from './settings.ts';

export function cleanupCommand(): Command {
  return new Command('cleanup')
    .summary("remove Picket's rules from the kernel")
    .description(
      'Deletes the table "inet picket" with everything in it, atomically. No other table is read or changed.\n' +
        'The last good state goes too, so that nothing comes back at the next boot.\n' +
        'From then on Picket enforces nothing, unless picket run is still there to repair what it takes for damage: stop\n' +
        'that first. Saying it twice is fine.',
    )
    .addOption(configOption())
    .addOption(netnsOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExit codes: 0 removed, or there was nothing; 1 not removed; 2 usage.')
    .action(async (options: ConfiguredOptions) => {
      process.exitCode = await cleanup(options);
    });
}

async function cleanup(options: ConfiguredOptions): Promise<number> {
  const config = loadSettings(options, []);
  const { netns } = config;
  const { output } = options;
  const dataplane = new NetlinkDataplane(loadNative(), netns);
  try {
    const result = await dataplane.commit([{ op: 'delete-table', origin: 'table inet picket' }]);
    const isAbsent = !result.ok && result.refusals.every(({ errnoName }) => errnoName === 'ENOENT');
    if (!result.ok && !isAbsent) throw new ApplyError(result.refusals);
    await forgetKept(directoriesOf(config));
    const agent = await runningAgent(netns);
    if (agent !== undefined) process.stderr.write(`warning: ${stillThere(agent)}\n`);
    if (output === 'json') printJson({ removed: result.ok, agent });
    else
      printLine(
        result.ok ? 'removed table inet picket' : 'nothing to remove: no table inet picket',
      );
    return EXIT.good;
  } finally {
    dataplane.close();
  }
}

/** Nothing comes back: neither at the next boot nor from a guard. A failure is told. */
async function forgetKept({ run, state }: Directories): Promise<void> {
  try {
    await dropPending(run);
    await dropUndoing(run);
    await forgetUndone(run);
    await forgetLastGood(state);
  } catch (error) {
    const why = explainSystemError(error);
    process.stderr.write(`warning: the last good state is still there for the next boot: ${why}\n`);
  }
}

function stillThere(agent: number): string {
  return `picket run (process ${agent}) governs this network namespace and puts the rules back: stop it, then clean up again`;
}
