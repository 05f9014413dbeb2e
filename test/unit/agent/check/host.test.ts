/** What kernel versions, user namespaces and clocks mean, from the text that the kernel gives. */
import test from 'ava';
import {
  HOST_PROBES,
  judgeClock,
  judgeKernel,
  judgeUserNamespace,
} from '../../../../agent/check/host.ts';
import type { CheckContext, Status } from '../../../../agent/check/finding.ts';
import { DEFAULT_CONFIG } from '../../../../agent/config/keys.ts';
import type { Native } from '../../../../agent/native/native.ts';

const KERNELS: readonly { name: string; in: string; out: Status }[] = [
  { name: 'the oldest that is enough', in: '5.10.0-21-amd64', out: 'ok' },
  { name: 'a larger major version', in: '6.1.0', out: 'ok' },
  { name: 'a minor version of two digits is no fraction', in: '5.9.16', out: 'failed' },
  { name: 'an old major version', in: '4.18.0-553.el8_10.x86_64', out: 'failed' },
  { name: 'nonsense', in: 'what', out: 'failed' },
];

for (const row of KERNELS) {
  test(`kernel: ${row.name}`, (t) => t.is(judgeKernel(row.in).status, row.out));
}

const NAMESPACES: readonly { name: string; in: string | undefined; out: Status }[] = [
  { name: 'the initial one', in: '         0          0 4294967295\n', out: 'ok' },
  { name: 'a mapped one', in: '         0       1000          1\n', out: 'warning' },
  { name: 'a kernel without them', in: undefined, out: 'ok' },
];

for (const row of NAMESPACES) {
  test(`user namespace: ${row.name}`, (t) => t.is(judgeUserNamespace(row.in).status, row.out));
}

test('clock: a slow one is told, an unknown one is not', (t) => {
  t.is(judgeClock('tsc\n').status, 'ok');
  t.is(judgeClock('acpi_pm\n').status, 'warning');
  t.is(judgeClock(undefined).status, 'ok');
});

/** CapEff in hex, and whether another namespace is configured. */
const CAPABILITIES: readonly { name: string; in: [string, string]; out: string[] }[] = [
  { name: 'all', in: ['000001ffffffffff', '/run/netns/x'], out: ['ok'] },
  { name: 'network administration alone is enough', in: ['0000000000001000', ''], out: ['ok'] },
  {
    name: 'but not for another namespace',
    in: ['0000000000001000', '/run/netns/x'],
    out: ['failed'],
  },
  { name: 'none', in: ['0000000000000000', '/run/netns/x'], out: ['failed', 'failed'] },
];

for (const row of CAPABILITIES) {
  test(`capabilities: ${row.name}`, async (t) => {
    const [effective, netns] = row.in;
    const context: CheckContext = {
      config: { ...DEFAULT_CONFIG, netns },
      native: {} as Native,
      read: () => `Name:\tnode\nCapEff:\t${effective}\n`,
      list: () => [],
    };
    const probe = HOST_PROBES.find(({ name }) => name === 'capabilities');
    const findings = (await probe?.run(context)) ?? [];
    t.deepEqual(
      findings.map(({ status }) => status),
      row.out,
    );
  });
}
