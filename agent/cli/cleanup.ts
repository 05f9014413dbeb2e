/** `picket cleanup`: removes the table, nothing else. */
import { Command } from 'commander';
import { NetlinkDataplane } from '../dataplane/netlink-dataplane.ts';
import { ApplyError } from '../engine/engine.ts';
import { loadNative } from '../native/native.ts';
import { EXIT } from './exit.ts';
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
        'From then on Picket enforces nothing, unless picket run is still there to repair what it takes for damage: stop\n' +
        'that first. Saying it twice is fine.',
    )
    .addOption(configOption())
    .addOption(netnsOption())
    .addOption(outputOption())
    .action(async (options: ConfiguredOptions) => {
      process.exitCode = await cleanup(options);
    });
}

async function cleanup(options: ConfiguredOptions): Promise<number> {
  const { netns } = loadSettings(options, []);
  const { output } = options;
  const dataplane = new NetlinkDataplane(loadNative(), netns);
  try {
    const result = await dataplane.commit([{ op: 'delete-table', origin: 'table inet picket' }]);
    const isAbsent = !result.ok && result.refusals.every(({ errnoName }) => errnoName === 'ENOENT');
    if (!result.ok && !isAbsent) throw new ApplyError(result.refusals);
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

function stillThere(agent: number): string {
  return `picket run (process ${agent}) governs this network namespace and puts the rules back: stop it, then clean up again`;
}
