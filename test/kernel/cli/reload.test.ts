/** A configuration that changes while packets flow: what is allowed keeps arriving, what is denied never does, connections live on. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { caliInterfaceName } from '../../../agent/endpoints/placement.ts';
import type { Packet } from '../../../compiler/model/packet.ts';
import { readTruthTable } from '../../support/case-packets.ts';
import { Bench, NODE, policy, startAgent, until, WEB } from '../../support/cli.ts';
import type { LogLine, RunningAgent } from '../../support/cli.ts';
import { Fabric } from '../../support/fabric.ts';
import type { Probe } from '../../support/fabric.ts';
import { kernelTest } from '../../support/needs.ts';

const CAPS = ['root', 'netns', 'addon', 'cc'] as const;

function packet(text: string): Packet {
  const [found] = readTruthTable(`allow ${text}`).packets;
  if (found === undefined) throw new Error(text);
  return found.packet;
}

/** A directory with a configuration in it, and an agent that runs by it. */
interface Configured {
  readonly agent: RunningAgent;
  /** Replaces the file by rename. */
  readonly configure: (text: string, netns?: string) => void;
  /** Replaces the one file of manifests by rename: half a file would be read as one. */
  readonly write: (text: string) => void;
}

function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

async function withAgent(
  netnsPath: string,
  use: (configured: Configured) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'picket-reload-'));
  const file = join(folder, 'picket.yaml');
  const head = `node: ${NODE}\nmanifests: ${folder}/policies.yaml\n`;
  const configure = (text: string, netns = netnsPath): void =>
    replace(file, `${head}netns: ${netns}\n${text}`);
  const write = (text: string): void => replace(join(folder, 'policies.yaml'), text);
  write(`${WEB}---\n${policy('first')}`);
  configure('');
  const agent = startAgent(['-c', file, '-o', 'json'], {});
  try {
    await agent.logged(/^in sync/);
    await use({ agent, configure, write });
    const ended = await agent.stop();
    if (ended.exitCode !== 0) throw new Error(`picket run: ${ended.stderr}`);
  } finally {
    await agent.stop('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

const REFUSED = 'not reloaded, the configuration in use stays';

/** Each changes other parts of the table; the last but one all base chains, in place of which others come. */
const RELOADS = [
  'denyAction: Reject',
  'denyAction: Drop\ndisableConntrackInvalidCheck: true',
  'serviceCidrs: [10.96.0.0/12]',
  'filterPriority: 7',
  'filterPriority: -10\ninterfacePrefixes: [cali, tap]',
  '',
];

kernelTest(
  'a reload is seamless: nothing opens, nothing closes, no connection is lost',
  CAPS,
  async (t) => {
    const fabric = await Fabric.create({
      workloads: [
        { name: 'web', ifname: caliInterfaceName('cali', 'shop', 'web'), addresses: ['10.0.0.1'] },
      ],
    });
    const opening = packet('tcp 10.1.0.5:40000 -> 10.0.0.1:80');
    const answer = packet('tcp 10.0.0.1:80 -> 10.1.0.5:40000');
    const established: Probe = { from: 'external', packet: opening, dress: { tcpFlags: 'ack' } };
    let port = 40_001;
    /** A packet of the connection, a new one that is allowed, one that is not. */
    const round = (): Probe[] => {
      port++;
      return [
        established,
        { from: 'web', packet: answer, dress: { tcpFlags: 'ack' } },
        { from: 'external', packet: packet(`tcp 10.1.0.5:${port} -> 10.0.0.1:80`) },
        { from: 'external', packet: packet(`tcp 10.2.0.5:${port} -> 10.0.0.1:80`) },
      ];
    };
    try {
      await withAgent(fabric.router.path, async ({ agent, configure }) => {
        t.deepEqual(await fabric.probe([{ from: 'external', packet: opening }]), [true]);
        const reply: Probe = { from: 'web', packet: answer, dress: { tcpFlags: 'syn-ack' } };
        t.deepEqual(await fabric.probe([reply]), [true]);
        for (const text of RELOADS) {
          const from = agent.log().length;
          const isDone = (): boolean =>
            agent
              .log()
              .slice(from)
              .some(({ msg }) => msg === 'in sync with the kernel');
          let rounds = 0;
          await until(`a reload with ${text}`, async () => {
            // The first round is on its way while the reload begins.
            if (rounds++ === 0) {
              configure(`${text}\n`);
              process.kill(agent.pid, 'SIGHUP');
            }
            t.deepEqual(await fabric.probe(round()), [true, true, true, false], text);
            return isDone();
          });
          t.deepEqual(await fabric.probe(round()), [true, true, true, false], text);
          t.log(`${rounds} rounds during a reload with "${text}"`);
        }
      });
    } finally {
      await fabric.close();
    }
  },
);

kernelTest(
  'a configuration that is wrong changes nothing, and is told until it is right',
  CAPS,
  (t) =>
    Bench.with({}, (bench) =>
      withAgent(bench.netns.path, async ({ agent, configure }) => {
        const generation = await bench.generation();
        const rows: readonly (readonly [string, RegExp])[] = [
          [
            'denyAktion: Drop\n',
            /picket\.yaml:4: denyAktion: unknown key; did you mean "denyAction"\?/,
          ],
          ['vxlanPort: 0\n', /picket\.yaml:4: vxlanPort: 0 is not right/],
          ['a: [\n', /picket\.yaml:\d+: /],
        ];
        const refused = async (says: RegExp, change: () => void): Promise<void> => {
          const from = agent.log().length;
          change();
          // One change may be read twice, and is told twice then.
          const line = (): LogLine | undefined =>
            agent
              .log()
              .slice(from)
              .find(({ msg, error }) => msg === REFUSED && says.test(String(error)));
          await until(`refused: ${String(says)}`, () => line() !== undefined);
          t.is(line()?.['level'], 50);
        };
        for (const [text, says] of rows) await refused(says, () => configure(text));
        await refused(/^netns cannot change while running \(in use: "/, () => configure('', '/x'));
        configure('');
        await agent.logged(/^the configuration is right again/);
        t.is(await bench.generation(), generation, 'nothing was sent');
        t.deepEqual(await bench.policies(), ['first']);
        configure('denyAction: Reject\n');
        const from = agent.log().length;
        await agent.logged(/^in sync/, from);
        t.true((await bench.generation()) > generation);
      }),
    ),
);

kernelTest('what a broken file said stays in force over a reload', CAPS, (t) =>
  Bench.with({}, (bench) =>
    withAgent(bench.netns.path, async ({ agent, configure, write }) => {
      write('{');
      await agent.logged(/the last good version of this file stays in force/);
      const from = agent.log().length;
      configure('denyAction: Reject\n');
      await agent.logged(/^in sync/, from);
      t.deepEqual(await bench.policies(), ['first']);
    }),
  ),
);

kernelTest('a policy whose newest version is refused stays in force over reloads', CAPS, (t) =>
  Bench.with({}, (bench) =>
    withAgent(bench.netns.path, async ({ agent, configure, write }) => {
      const refused = policy('first').replace("app == 'web'", 'app ==');
      write(`${WEB}---\n${refused}---\n${policy('second')}`);
      await bench.untilPolicies('first', 'second');
      for (const action of ['Reject', 'Drop']) {
        const from = agent.log().length;
        configure(`denyAction: ${action}
`);
        await agent.logged(/^in sync/, from);
        t.deepEqual(await bench.policies(), ['first', 'second'], action);
      }
      write(`${WEB}---\n${policy('second')}`);
      await bench.untilPolicies('second');
    }),
  ),
);
