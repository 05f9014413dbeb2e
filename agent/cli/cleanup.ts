/** `picket cleanup`: removes the table, nothing else. */
import { Command } from 'commander';
import { NetlinkDataplane } from '../dataplane/netlink-dataplane.ts';
import { ApplyError } from '../engine/engine.ts';
import { loadNative } from '../native/native.ts';
import { EXIT } from './exit.ts';
import { netnsOption, outputOption } from './options.ts';
import type { OutputFormat } from './options.ts';
import { printJson, printLine } from './report.ts';

interface CleanupOptions {
  readonly netns: string;
  readonly output: OutputFormat;
}

export function cleanupCommand(): Command {
  return new Command('cleanup')
    .summary("remove Picket's rules from the kernel")
    .description(
      'Deletes the table "inet picket" with everything in it, atomically. No other table is read or changed.\n' +
        'From then on Picket enforces nothing. Saying it twice is fine.',
    )
    .addOption(netnsOption())
    .addOption(outputOption())
    .action(async (options: CleanupOptions) => {
      process.exitCode = await cleanup(options);
    });
}

async function cleanup({ netns, output }: CleanupOptions): Promise<number> {
  const dataplane = new NetlinkDataplane(loadNative(), netns);
  try {
    const result = await dataplane.commit([{ op: 'delete-table', origin: 'table inet picket' }]);
    const isAbsent = !result.ok && result.refusals.every(({ errnoName }) => errnoName === 'ENOENT');
    if (!result.ok && !isAbsent) throw new ApplyError(result.refusals);
    if (output === 'json') printJson({ removed: result.ok });
    else
      printLine(
        result.ok ? 'removed table inet picket' : 'nothing to remove: no table inet picket',
      );
    return EXIT.good;
  } finally {
    dataplane.close();
  }
}
