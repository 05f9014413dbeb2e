/** `picket wait`: returns when a policy is in force in the kernel; for scripts and init containers. */
import { setTimeout as delay } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Config } from '../config/keys.ts';
import { askAgent, ControlError } from '../control/client.ts';
import { WAIT_PATH } from '../control/routes.ts';
import type { WaitAnswer } from '../control/wait.ts';
import { socketOf } from './ask.ts';
import { CommandError, EXIT } from './exit.ts';
import { configOption, netnsOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { printJson, printLine } from './report.ts';
import { loadSettings } from './settings.ts';

interface WaitOptions extends ConfiguredOptions {
  readonly policy: string;
  readonly pod: string | undefined;
  /** Milliseconds. */
  readonly timeout: number;
}

/** Between two questions: an answer takes the agent some microseconds. */
const POLL_MS = 100;

export function waitCommand(): Command {
  return new Command('wait')
    .summary('wait until a policy is in force here')
    .description(
      'Returns as soon as the running agent has the policy, in the version that it has from its sources, in force in the\n' +
        'kernel; with --pod, for that pod of this node. Also waits for the agent to start.',
    )
    .requiredOption(
      '-p, --policy <name>',
      'NS/NAME or NAME of a policy of any kind, or an id like np/NS/NAME',
    )
    .option('--pod <ns/name>', 'and it must govern this pod, which must run on this node')
    .addOption(
      new Option('-t, --timeout <time>', 'give up after: 500ms, 30s, 5m')
        .argParser(readTime)
        .default(30_000, '30s'),
    )
    .addOption(configOption())
    .addOption(netnsOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Exit codes: 0 in force; 1 not in time, with the reason; 2 usage.

Example:
  kubectl apply -f policy.yaml && picket wait --policy shop/allow-web --pod shop/web --timeout 30s`,
    )
    .action(async (options: WaitOptions) => {
      process.exitCode = await wait(options);
    });
}

const TIME_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

function readTime(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  const factor = TIME_UNITS[unit];
  if (factor === undefined) throw new InvalidArgumentError('Write a time like 500ms, 30s or 5m.');
  return Number(digits) * factor;
}

async function wait(options: WaitOptions): Promise<number> {
  const config = loadSettings(options, []);
  const { policy, pod, timeout, output } = options;
  const startedMs = performance.now();
  for (;;) {
    const answer = await askOnce(config, policy, pod);
    const waitedMs = Math.round(performance.now() - startedMs);
    if (answer.isInForce) {
      const forPod = pod === undefined ? '' : ` for ${pod}`;
      if (output === 'json') printJson({ ...answer, waitedMs });
      else printLine(`${answer.policies.join(', ')}: in force${forPod}, after ${waitedMs} ms`);
      return EXIT.good;
    }
    if (waitedMs + POLL_MS > timeout) {
      throw new CommandError(`not in force after ${waitedMs} ms: ${answer.why}`, EXIT.failed, {
        details: { ...answer, waitedMs },
      });
    }
    await delay(POLL_MS);
  }
}

/** What may still become right is an answer: an agent that starts, or ends and starts again. */
async function askOnce(
  config: Config,
  policy: string,
  pod: string | undefined,
): Promise<WaitAnswer> {
  try {
    return (await askAgent(socketOf(config), WAIT_PATH, { policy, pod })) as WaitAnswer;
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    if (error.fault === 'permission' || error.fault === 'old-agent') {
      throw new CommandError(error.message, EXIT.failed, { cause: error });
    }
    return { isInForce: false, policies: [], why: error.message };
  }
}
