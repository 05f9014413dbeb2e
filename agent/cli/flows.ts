/** `picket flows`: who was denied, by which rule, asked of the running agent. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { followAgent } from '../control/client.ts';
import { FILTER_NAMES, readFilter } from '../flowlog/filter.ts';
import type { FlowFilter } from '../flowlog/filter.ts';
import { printCompact, printWide } from '../flowlog/print.ts';
import type { FlowRecord } from '../flowlog/record.ts';
import { FLOWS_PATH, FOLLOW_PATH, isFlowsEnd } from '../flowlog/routes.ts';
import type { FlowsEnd, FlowsRow } from '../flowlog/routes.ts';
import { socketOf, streamRows, toCommandError } from './ask.ts';
import type { Query } from './ask.ts';
import { CommandError, EXIT } from './exit.ts';
import { configOption, netnsOption } from './options.ts';
import { printLine } from './report.ts';
import { loadSettings } from './settings.ts';

type FlowFormat = 'compact' | 'wide' | 'json';

interface FlowOptions extends FlowFilter {
  readonly config: string | undefined;
  readonly netns: string | undefined;
  readonly follow: boolean;
  readonly since: number | undefined;
  readonly last: number | undefined;
  readonly output: FlowFormat;
}

/** Records shown where nothing says how many. */
const DEFAULT_LAST = { once: 50, follow: 10 } as const;

const HINT = 'flows are kept by a running agent: start one with picket run';

export function flowsCommand(): Command {
  const command = new Command('flows')
    .summary('show denied (and allowed) flows, and the rule that decided each')
    .description(
      'Shows what the running agent has logged, oldest first: who tried to reach whom, and the policy rule or the implicit deny\n' +
        'that decided. Packets of the same rule, addresses, protocol and port within some seconds are one line with a count;\n' +
        '"+N suppressed" are packets of that rule that its rate limit did not log. Counters are exact in any case.',
    )
    .addOption(new Option('-f, --follow', 'stay, and show flows as they come').default(false))
    .addOption(
      new Option(
        '--since <time>',
        'only from then on: 30s, 5m, 2h, 1d ago, or 2026-01-31T10:00:00Z',
      ).argParser(readSince),
    )
    .addOption(
      new Option(
        '--last <n>',
        `the newest n; default ${DEFAULT_LAST.once}, with --follow ${DEFAULT_LAST.follow}, with --since all`,
      ).argParser(readCount),
    )
    .option(
      '--pod <name>',
      'at either end: NAMESPACE/POD, a name, or host; or the host endpoint that judged',
    )
    .option('--from <end>', 'source: NAMESPACE/POD, a name, an address or a prefix')
    .option('--to <end>', 'destination: the same')
    .option('--namespace <name>', 'at either end')
    .option('--verdict <verdict>', 'allow, deny, or log')
    .option(
      '--policy <name>',
      'that decided, or selected and did not decide: NAME, NAMESPACE/NAME, or np/NAMESPACE/NAME',
    )
    .option('--port <port>', 'destination port')
    .option('--proto <protocol>', 'tcp, udp, sctp, icmp, icmpv6, or a number');
  return command
    .addOption(configOption())
    .addOption(netnsOption())
    .addOption(
      new Option(
        '-o, --output <format>',
        'compact and wide for people, json for programs, one record per line',
      )
        .choices(['compact', 'wide', 'json'])
        .default('compact'),
    )
    .addHelpText(
      'after',
      `
Examples:
  picket flows --follow --namespace shop
  picket flows --since 10m --verdict deny --to shop/db -o wide
  picket flows --policy shop/allow-web --last 5 -o json

A reader that is too slow loses records of its own, and is told how many. What is logged is said in the configuration:
flowLogVerdicts, flowLogRate, flowLogBurst, flowLogOutputs (see picket config --print-default).

Exit codes: 0 good; 1 no agent is running here, or it ended; 2 usage.`,
    )
    .action(async (options: FlowOptions) => {
      await flows(options);
    });
}

async function flows(options: FlowOptions): Promise<void> {
  const config = loadSettings(
    { config: options.config, netns: options.netns, manifests: undefined, node: undefined },
    [],
  );
  const checked = readFilter(options);
  if ('wrong' in checked) throw new CommandError(`--${checked.wrong}`, EXIT.usage);
  const filter = Object.fromEntries(FILTER_NAMES.map((name) => [name, options[name]]));
  const history = {
    ...filter,
    since: options.since?.toString(),
    last: lastOf(options)?.toString(),
  };
  const print = PRINTERS[options.output];
  let end: FlowsEnd | undefined;
  // The agent answers with what flowlog/routes.ts makes, in the same version of this program.
  for await (const row of streamRows(config, FLOWS_PATH, history, HINT)) {
    if (isFlowsEnd(row as FlowsRow)) end = row as FlowsEnd;
    else printLine(print(row as FlowRecord));
  }
  if (end === undefined) throw new CommandError('the agent ended while it answered: ask again');
  if (options.follow) {
    await follow(socketOf(config), { ...filter, next: String(end.next) }, options.output);
  } else if (end.end === 0 && options.output !== 'json') {
    process.stderr.write('no such flow; what is logged is said by flowLogVerdicts\n');
  }
}

const PRINTERS: Readonly<Record<FlowFormat, (record: FlowRecord) => string>> = {
  compact: printCompact,
  wide: printWide,
  json: (record) => JSON.stringify(record),
};

function lastOf({ follow: isFollowing, since, last }: FlowOptions): number | undefined {
  if (last !== undefined || since !== undefined) return last;
  return isFollowing ? DEFAULT_LAST.follow : DEFAULT_LAST.once;
}

/** Until a signal comes or the agent ends, which is an error. */
async function follow(socketPath: string, query: Query, output: FlowFormat): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  try {
    for await (const line of followAgent(socketPath, FOLLOW_PATH, query, stop.signal)) {
      const { lost } = line as { readonly lost?: number };
      if (lost === undefined) printLine(PRINTERS[output](line as FlowRecord));
      else if (output === 'json') printLine(JSON.stringify({ lost }));
      else process.stderr.write(`${lost} records are missing here: this reader was too slow\n`);
    }
  } catch (error) {
    throw toCommandError(error, HINT);
  }
  if (!stop.signal.aborted) throw new CommandError('the agent has ended');
}

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds since the epoch. */
function readSince(text: string): number {
  const [, number, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (number !== undefined && unit !== undefined) {
    return Math.max(0, Date.now() - Number(number) * (UNITS_MS[unit] ?? 0));
  }
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) {
    throw new InvalidArgumentError('Write 30s, 5m, 2h, 1d, or a time like 2026-01-31T10:00:00Z.');
  }
  return time;
}

function readCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Write a whole number.');
  return Number(text);
}
