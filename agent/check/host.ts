/** The machine and the process: kernel version, capabilities, clock. */
import { release } from 'node:os';
import { failed, ok, warning } from './finding.ts';
import type { CheckContext, Finding, Probe } from './finding.ts';

/** `fib`, concatenated ranges and everything else that we use work the same from here on. */
const OLDEST_KERNEL = [5, 10] as const;

export const HOST_PROBES: readonly Probe[] = [
  { name: 'kernel', run: () => [judgeKernel(release())] },
  { name: 'capabilities', run: (context) => judgeCapabilities(context) },
  { name: 'user namespace', run: ({ read }) => [judgeUserNamespace(read('/proc/self/uid_map'))] },
  { name: 'clock', run: ({ read }) => [judgeClock(read(`${CLOCKS}/current_clocksource`))] },
];

const CLOCKS = '/sys/devices/system/clocksource/clocksource0';

/** `version` as `uname -r` says it. */
export function judgeKernel(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10) || 0);
  const isOld =
    major < OLDEST_KERNEL[0] || (major === OLDEST_KERNEL[0] && minor < OLDEST_KERNEL[1]);
  if (!isOld) return ok(`Linux ${version}`);
  return failed(
    `Linux ${version}: nf_tables before ${OLDEST_KERNEL.join('.')} lacks what Picket needs`,
    `boot Linux ${OLDEST_KERNEL.join('.')} or later`,
  );
}

/** Bits of the capability sets. Source: linux include/uapi/linux/capability.h. */
const CAPABILITIES = {
  CAP_NET_ADMIN: { bit: 12n, for: 'to change nf_tables' },
  CAP_SYS_ADMIN: { bit: 21n, for: 'to enter the network namespace that the configuration names' },
} as const;

function judgeCapabilities({ read, config }: CheckContext): Finding[] {
  const needed = [
    'CAP_NET_ADMIN',
    ...(config.netns === '' ? [] : (['CAP_SYS_ADMIN'] as const)),
  ] as const;
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(read('/proc/self/status') ?? '')?.[1];
  if (effective === undefined)
    return [warning('/proc/self/status does not say them', 'mount /proc')];
  const held = BigInt(`0x${effective}`);
  const missing = needed.filter((name) => (held & (1n << CAPABILITIES[name].bit)) === 0n);
  if (missing.length === 0) return [ok(needed.join(', '))];
  return missing.map((name) => {
    return failed(
      `${name} is missing, ${CAPABILITIES[name].for}`,
      'run as root, or give it to the service',
    );
  });
}

/** A mapping of everything onto itself is the initial namespace. */
export function judgeUserNamespace(uidMap: string | undefined): Finding {
  const fields = uidMap?.trim().split(/\s+/).join(' ');
  if (fields === undefined || fields === '0 0 4294967295') return ok('the initial one');
  return warning(
    'not the initial one: netlink buffers are bounded by net.core.wmem_max, so a very large policy set may not fit',
    'raise net.core.wmem_max and net.core.rmem_max to 16 MiB, or run outside the user namespace',
  );
}

/** Reading these costs a device access; every timestamp of a flow does. */
const SLOW_CLOCKS = new Set(['hpet', 'acpi_pm', 'jiffies', 'refined-jiffies', 'pit']);

export function judgeClock(source: string | undefined): Finding {
  const name = source?.trim();
  if (name === undefined || !SLOW_CLOCKS.has(name)) return ok(`clock source ${name ?? 'not told'}`);
  return warning(
    `clock source ${name} is slow and coarse: timers and timestamps suffer`,
    `choose a better one of ${CLOCKS}/available_clocksource`,
  );
}
