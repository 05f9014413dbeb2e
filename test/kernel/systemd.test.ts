/** The units of systemd/: what systemd thinks of them, and their own command lines under their own restrictions, in real kernels. */
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { testAddon } from '../support/addon.ts';
import { Bench, isStopped, policy, until, WEB } from '../support/cli.ts';
import { receiveDatagrams } from '../support/datagrams.ts';
import type { DatagramReceiver } from '../support/datagrams.ts';
import { kernelTest } from '../support/needs.ts';
import { runIp } from '../support/netns.ts';
import { openServiceFolders, sandboxed } from '../support/service-sandbox.ts';
import type { ServiceFolders } from '../support/service-sandbox.ts';
import { projectPath, requireSystemTool } from '../support/tools.ts';
import { parseUnit } from '../support/unit-file.ts';
import type { UnitFile } from '../support/unit-file.ts';

const UNITS = ['systemd/picket.service', 'systemd/picket-boot.service'] as const;
const CAPS = ['root', 'netns', 'addon', 'cc', 'systemd', 'overlay'] as const;

kernelTest('systemd finds nothing wrong with the units', ['systemd'], async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'picket-units-'));
  try {
    const copies = UNITS.map((unit) => {
      const copy = join(folder, basename(unit));
      const text = readFileSync(projectPath(unit), 'utf8');
      // It looks for the program, which no package has put there.
      writeFileSync(copy, text.replaceAll('/usr/bin/picket', projectPath('bin/picket')));
      return copy;
    });
    const args = ['verify', '--man=no', '--recursive-errors=no', ...copies];
    const { all } = await execa(requireSystemTool('systemd-analyze'), args, { all: true });
    t.is(all, '');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

kernelTest('the exposure of the units is at most 2.5', ['systemd'], async (t) => {
  for (const unit of UNITS) {
    const args = ['security', '--offline=true', '--threshold=25', '--no-pager', projectPath(unit)];
    const { exitCode, all } = await execa(requireSystemTool('systemd-analyze'), args, {
      all: true,
      reject: false,
    });
    t.is(exitCode, 0, all.split('\n').at(-1));
  }
});

interface RunningService {
  readonly pid: number;
  readonly folders: ServiceFolders;
  readonly notify: DatagramReceiver;
  /** Path of NOTIFY_SOCKET. */
  readonly socket: string;
  /** Field names of all messages so far, in order, without those that come by the clock; READY and STATUS are one message. */
  words(): string[];
  said(pattern: RegExp): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  readonly ended: Promise<{ readonly exitCode: number | undefined; readonly output: string }>;
  close(): Promise<void>;
}

function readUnit(name: string): UnitFile {
  return parseUnit(readFileSync(projectPath(`systemd/${name}.service`), 'utf8'));
}

/** Starts ExecStart= of picket.service in the namespace of the bench, with these manifests. */
async function startService(
  bench: Bench,
  manifests: Readonly<Record<string, string>> | undefined,
  env: Readonly<Record<string, string>> = {},
  configuration = '',
): Promise<RunningService> {
  const folders = openServiceFolders();
  writeFileSync(join(folders.configuration, 'picket.yaml'), `node: n1\n${configuration}`);
  if (manifests !== undefined) mkdirSync(join(folders.configuration, 'policies'));
  for (const [name, text] of Object.entries(manifests ?? {})) {
    writeFileSync(join(folders.configuration, 'policies', name), text);
  }
  const socket = join(folders.runtime, 'notify');
  const notify = await receiveDatagrams(socket);
  const [file, ...args] = await sandboxed(readUnit('picket'), bench.netns.path, folders);
  const child = execa(file, args, {
    env: { NOTIFY_SOCKET: socket, ...env },
    reject: false,
    all: true,
  });
  const ended = child.then(({ exitCode, all }) => ({ exitCode, output: all }));
  const texts = (): string[] => notify.received.map(({ text }) => text);
  return {
    pid: child.pid ?? 0,
    folders,
    notify,
    socket,
    ended,
    words: () =>
      texts()
        .map((text) => text.replaceAll(/=.*\n/g, ' ').trim())
        .filter((word) => !['STATUS', 'WATCHDOG', 'EXTEND_TIMEOUT_USEC'].includes(word)),
    said: (pattern) =>
      until(`a message ${String(pattern)}`, () => texts().some((text) => pattern.test(text))),
    signal: (signal) => void child.kill(signal),
    close: async () => {
      child.kill('SIGKILL');
      await ended;
      await notify.close();
      folders.close();
    },
  };
}

const GOOD = { 'web.yaml': WEB, 'first.yaml': policy('first') };

/** With `shop/web` and one policy. */
async function withService(
  env: Readonly<Record<string, string>>,
  use: (service: RunningService, bench: Bench) => Promise<void>,
): Promise<void> {
  await Bench.with({}, async (bench) => {
    const service = await startService(bench, GOOD, env);
    try {
      await use(service, bench);
    } finally {
      await service.close();
    }
  });
}

kernelTest(
  'picket.service does all of its work under its own restrictions, and SIGTERM leaves the rules',
  CAPS,
  (t) =>
    withService({}, async (service, bench) => {
      const { configuration } = service.folders;
      await service.said(/^READY=1\nSTATUS=in sync, 1 workload\n$/);
      t.deepEqual(await bench.policies(), ['first']);

      const write = (name: string, text: string): void => {
        // By rename: half a file would be read as one.
        writeFileSync(join(configuration, 'unfinished'), text);
        renameSync(join(configuration, 'unfinished'), join(configuration, name));
      };
      write('policies/second.yaml', policy('second'));
      await bench.untilPolicies('first', 'second');

      await runIp(bench.netns, [
        'link add tap7 type veth peer name peer7',
        'link set tap7 up',
        'route add 10.0.0.1/32 dev tap7',
      ]);
      await until('dispatch by the interface that appeared', async () => {
        return (await bench.table())?.elements.get('to-interface')?.size === 1;
      });
      await bench.nft('delete', 'table', 'inet', 'picket');
      await bench.untilPolicies('first', 'second');

      write('picket.yaml', 'node: n1\nnod: n2\n');
      await service.said(/STATUS=NOT reloaded: .*picket\.yaml:2: nod: unknown key; did you mean/);
      t.deepEqual(service.words(), ['READY STATUS'], 'nobody asked for a reload');
      service.signal('SIGHUP');
      await until('the answer to SIGHUP', () => service.words().length === 3);
      write('picket.yaml', 'node: n1\ndenyAction: Reject\n');
      await until('a reload', () => service.words().length === 5);

      service.signal('SIGTERM');
      const { exitCode, output } = await service.ended;
      t.is(exitCode, 0, output);
      t.deepEqual(service.words(), [
        'READY STATUS',
        'RELOADING MONOTONIC_USEC',
        'READY STATUS',
        'RELOADING MONOTONIC_USEC',
        'READY STATUS',
        'STOPPING STATUS',
      ]);
      t.true(
        service.notify.received.every(({ pid }) => pid === service.pid),
        'NotifyAccess=main',
      );
      t.notRegex(output, /EPERM|EACCES|EROFS|Read-only/);
      t.deepEqual(await bench.policies(), ['first', 'second'], 'the rules stay');
    }),
);

const IDLE = [
  {
    name: 'no manifest',
    manifests: {},
    status: /^nothing to enforce yet, what was in force stays$/,
  },
  {
    name: 'no directory',
    manifests: undefined,
    status: /^waiting for disk, what was in force stays: the directory cannot be read: /,
  },
];

for (const { name, manifests, status } of IDLE) {
  kernelTest(`picket.service with ${name} is up at once, and says so`, CAPS, (t) =>
    Bench.with({}, async (bench) => {
      const service = await startService(bench, manifests);
      try {
        await service.said(/^READY=1\nSTATUS=/);
        const ready = service.notify.received.find(({ text }) => text.startsWith('READY=1'));
        t.regex(ready?.text.replace('READY=1\nSTATUS=', '').trim() ?? '', status);
        t.is(await bench.table(), undefined);
        service.signal('SIGTERM');
        t.is((await service.ended).exitCode, 0);
      } finally {
        await service.close();
      }
    }),
  );
}

const HOST = `apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: host, labels: {role: host}}
spec: {node: n1, interfaceName: '*'}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: host}
spec: {selector: role == 'host', types: [Ingress], ingress: [{action: Deny}]}
`;

kernelTest(
  'what nobody confirms is undone under the restrictions too, though the agent is killed',
  CAPS,
  (t) =>
    Bench.with({}, async (bench) => {
      const manifests = { 'host.yaml': HOST };
      const service = await startService(bench, manifests, {}, 'confirmHostPolicyChanges: 5s\n');
      try {
        await until('the change', async () => (await bench.table()) !== undefined);
        service.signal('SIGKILL');
        await service.ended;
        await until('the change undone', async () => (await bench.table()) === undefined);
        t.pass();
      } finally {
        await service.close();
      }
    }),
);

kernelTest('picket-boot.service brings back what picket.service enforced', CAPS, (t) =>
  withService({}, async (service, bench) => {
    const boot = async (): Promise<string> => {
      const unit = readUnit('picket-boot');
      const [file, ...args] = await sandboxed(unit, bench.netns.path, service.folders);
      const { exitCode, stdout, stderr } = await execa(file, args, { reject: false });
      t.deepEqual([exitCode, stderr], [0, '']);
      return stdout;
    };
    await service.said(/^READY=1\nSTATUS=in sync/);
    service.signal('SIGTERM');
    t.is((await service.ended).exitCode, 0);
    t.regex(await boot(), /^nothing loaded: table inet picket is there already/);

    // A reboot: the kernel starts empty, /run too.
    await bench.nft('delete', 'table', 'inet', 'picket');
    for (const name of readdirSync(service.folders.runtime)) {
      rmSync(join(service.folders.runtime, name), { recursive: true });
    }
    t.regex(await boot(), /^state loaded: /);
    t.deepEqual(await bench.policies(), ['first']);
  }),
);

kernelTest('picket-boot.service on a new host loads nothing and succeeds', CAPS, (t) =>
  Bench.with({}, async (bench) => {
    const folders = openServiceFolders();
    try {
      const unit = readUnit('picket-boot');
      const [file, ...args] = await sandboxed(unit, bench.netns.path, folders);
      const { exitCode, stdout, stderr } = await execa(file, args, { reject: false });
      t.deepEqual([exitCode, stderr], [0, ''], stdout);
      t.is(await bench.table(), undefined);
    } finally {
      folders.close();
    }
  }),
);

const WATCHDOG_MS = 900;

kernelTest('the watchdog is fed while the process turns, and not while it hangs', CAPS, (t) =>
  withService({ WATCHDOG_USEC: String(WATCHDOG_MS * 1000) }, async (service) => {
    const fed = (): number =>
      service.notify.received.filter(({ text }) => text === 'WATCHDOG=1\n').length;
    await service.said(/^READY=1/);
    const first = fed();
    await until('two signs of life', () => fed() >= first + 2);
    service.signal('SIGSTOP');
    await until('it is stopped', () => isStopped(service.pid));
    // What had been sent is received before this; a stopped process sends nothing more, however long one waits.
    t.is(testAddon().sendUnixDatagram(service.socket, Buffer.from('MARK')), 0);
    await service.said(/^MARK$/);
    const stopped = fed();
    await delay(2 * WATCHDOG_MS);
    t.is(fed(), stopped);
    service.signal('SIGCONT');
    await until('a sign of life', () => fed() > stopped);
  }),
);
