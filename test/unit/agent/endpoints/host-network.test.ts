/** Following links and routes on a scripted kernel: what the list says, what events change, and what is done when events are lost. */
import test from 'ava';
import { HostNetworkWatch, readHostNetwork } from '../../../../agent/endpoints/host-network.ts';
import type { Native } from '../../../../agent/native/native.ts';
import { Writer, type Codec } from '../../../../agent/netlink/codec.ts';
import { beginMessage, endMessage } from '../../../../agent/netlink/message.ts';
import * as schema from '../../../../agent/netlink/schema/rtnetlink.ts';
import * as k from '../../../../agent/netlink/uapi.generated.ts';
import { scriptedKernel } from '../../../support/nft-kernel.ts';
import type { Answer } from '../../../support/nft-kernel.ts';

type Route = Parameters<typeof schema.route.write>[1];

function body<T>(header: readonly number[], codec: Codec<T>, value: T): Uint8Array {
  const writer = new Writer();
  writer.raw(Uint8Array.from(header));
  codec.write(writer, value);
  return writer.finish();
}

function link(index: number, name: string, kind = 'veth', flags = 1): Answer {
  const header = [0, 0, 1, 0, index, 0, 0, 0, flags, 0, 0, 0, 0, 0, 0, 0];
  return { type: k.RTM_NEWLINK, body: body(header, schema.link, { name, info: { kind } }) };
}

/** To 10.0.0.`last`/32. */
function route(last: number, oif: number, more: Route = {}): Answer {
  const header = [2, 32, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
  const value = { dst: Uint8Array.of(10, 0, 0, last), oif, ...more };
  return { type: k.RTM_NEWROUTE, body: body(header, schema.route, value) };
}

/** 10.9.0.`last` of a link; with a peer's address, as on a point-to-point link. */
function address(last: number, index: number, peer?: number): Answer {
  const header = [2, 24, 0, 0, index, 0, 0, 0];
  const local = Uint8Array.of(10, 9, 0, last);
  const value = { local, address: peer === undefined ? local : Uint8Array.of(10, 9, 0, peer) };
  return { type: k.RTM_NEWADDR, body: body(header, schema.address, value) };
}

/** An IPv6 address has no `local` attribute: 2001:db8::`last`. */
function address6(last: number, index: number): Answer {
  const bytes = Uint8Array.of(0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last);
  const header = [10, 64, 0, 0, index, 0, 0, 0];
  return { type: k.RTM_NEWADDR, body: body(header, schema.address, { address: bytes }) };
}

function gone(answer: Answer): Answer {
  return { ...answer, type: answer.type + 1 };
}

function datagram(...events: readonly Answer[]): Uint8Array {
  const writer = new Writer();
  for (const { type, body: payload } of events) {
    const at = beginMessage(writer, { type, flags: 0, seq: 0 });
    writer.raw(payload);
    endMessage(writer, at);
  }
  return writer.finish();
}

/** A host whose lists hold `now`; `reading` is called before each list of links. */
class Host {
  now: readonly Answer[];
  reads = 0;
  reading: () => void = () => undefined;
  /** Events to the one who follows. */
  emit: (bytes: Uint8Array, lost: number) => void = () => undefined;

  constructor(now: readonly Answer[]) {
    this.now = now;
  }

  native(): Native {
    const kernel = scriptedKernel(({ type, body: asked }) => {
      if (type === k.RTM_GETLINK) {
        this.reads++;
        this.reading();
        return this.now.filter((answer) => answer.type === k.RTM_NEWLINK);
      }
      if (type === k.RTM_GETADDR) {
        return this.now.filter((answer) => answer.type === k.RTM_NEWADDR);
      }
      const routes = this.now.filter((answer) => answer.type === k.RTM_NEWROUTE);
      return asked.u8(0) === 2 ? routes : [];
    });
    return {
      open: () => 1,
      portId: () => 1,
      sndbufBytes: () => 1 << 20,
      setSndbuf: () => 1 << 20,
      join: () => 0,
      exchange: async (_handle, bytes, expect, lastSeq, timeoutMs) => ({
        errno: 0,
        bytes: await kernel.exchange(bytes, expect, lastSeq, timeoutMs),
      }),
      startReader: (_handle, _ignored, callback) => {
        this.emit = callback;
        return 0;
      },
      close: () => undefined,
      sendUnixDatagram: () => 0,
      queuedBytes: () => 0,
      trimMemory: () => 0,
    };
  }
}

async function routesOf(watch: HostNetworkWatch): Promise<string> {
  const { hostRoutes } = await watch.current();
  return [...hostRoutes].map(([address, device]) => `${address} ${device}`).join();
}

function follow(host: Host): { watch: HostNetworkWatch; changes: () => number } {
  let changes = 0;
  const watch = new HostNetworkWatch(host.native(), '', () => changes++);
  return { watch, changes: () => changes };
}

const VETH = link(5, 'veth1');

const ROWS: readonly { name: string; in: readonly Answer[]; out: string }[] = [
  { name: 'a host route', in: [VETH, route(1, 5)], out: '10.0.0.1 veth1' },
  { name: 'to a bridge', in: [link(5, 'br0', 'bridge'), route(1, 5)], out: '' },
  { name: 'through a gateway', in: [VETH, route(1, 5, { gateway: new Uint8Array(4) })], out: '' },
  { name: 'without a link', in: [route(1, 5)], out: '' },
];

for (const row of ROWS) {
  test(`read once: ${row.name}`, async (t) => {
    const { hostRoutes } = await readHostNetwork(new Host(row.in).native(), '');
    t.is([...hostRoutes].map(([address, device]) => `${address} ${device}`).join(), row.out);
  });
}

const EVENTS: readonly { name: string; in: readonly Answer[]; out: string; isNews: boolean }[] = [
  { name: 'the same again', in: [VETH, route(1, 5)], out: '10.0.0.1 veth1', isNews: false },
  { name: 'link renamed', in: [link(5, 'x')], out: '10.0.0.1 x', isNews: true },
  { name: 'link gone', in: [gone(VETH)], out: '', isNews: true },
  {
    name: 'link down, which takes its IPv4 routes along in silence',
    in: [link(5, 'veth1', 'veth', 0), VETH],
    out: '',
    isNews: true,
  },
  {
    name: 'another link under the index of one that is gone',
    in: [gone(VETH), link(5, 'z')],
    out: '',
    isNews: true,
  },
  { name: 'route gone', in: [gone(route(1, 5))], out: '', isNews: true },
  {
    name: 'route of another link gone',
    in: [gone(route(1, 6))],
    out: '10.0.0.1 veth1',
    isNews: false,
  },
  { name: 'route moves', in: [link(6, 'y'), route(1, 6)], out: '10.0.0.1 y', isNews: true },
  {
    name: 'route replaced by one through a gateway',
    in: [route(1, 5, { gateway: new Uint8Array(4) })],
    out: '',
    isNews: true,
  },
  {
    name: 'route replaced by one without a device',
    in: [route(1, 5, { oif: undefined })],
    out: '',
    isNews: true,
  },
];

for (const row of EVENTS) {
  test(`event: ${row.name}`, async (t) => {
    const host = new Host([VETH, route(1, 5)]);
    const { watch, changes } = follow(host);
    await watch.current();
    host.emit(datagram(...row.in), 0);
    t.is(changes() > 0, row.isNews);
    t.is(await routesOf(watch), row.out);
    t.is(host.reads, 1);
  });
}

test('events that come while the lists are read come after them', async (t) => {
  const host = new Host([VETH]);
  const { watch } = follow(host);
  host.reading = () => host.emit(datagram(route(1, 5)), 0);
  t.is(await routesOf(watch), '10.0.0.1 veth1');
});

test('lost events: told, and the lists are read again', async (t) => {
  const host = new Host([VETH]);
  const { watch, changes } = follow(host);
  await watch.current();
  host.now = [VETH, route(1, 5)];
  host.emit(new Uint8Array(), 1);
  t.is(changes(), 1);
  t.is(await routesOf(watch), '10.0.0.1 veth1');
  t.is(host.reads, 2);
});

test('events lost while the lists are read: they are read once more', async (t) => {
  const host = new Host([VETH]);
  const { watch } = follow(host);
  host.reading = () => {
    if (host.reads === 1) host.emit(new Uint8Array(), 1);
    else host.now = [VETH, route(1, 5)];
  };
  t.is(await routesOf(watch), '10.0.0.1 veth1');
  t.is(host.reads, 2);
});

const ADDRESSES: readonly {
  name: string;
  in: readonly Answer[];
  out: string;
  isNews: boolean;
}[] = [
  { name: 'the same again', in: [address(1, 5)], out: 'veth1 10.9.0.1', isNews: false },
  { name: 'one more', in: [address6(1, 5)], out: 'veth1 10.9.0.1 2001:db8::1', isNews: true },
  { name: 'gone', in: [gone(address(1, 5))], out: '', isNews: true },
  {
    name: 'one that nobody had is gone',
    in: [gone(address(2, 5))],
    out: 'veth1 10.9.0.1',
    isNews: false,
  },
  {
    name: "the peer's is not its own",
    in: [address(2, 5, 3)],
    out: 'veth1 10.9.0.1 10.9.0.2',
    isNews: true,
  },
  { name: 'link renamed', in: [link(5, 'x')], out: 'x 10.9.0.1', isNews: true },
  {
    name: 'link gone, another under its index',
    in: [gone(VETH), link(5, 'z')],
    out: '',
    isNews: true,
  },
];

for (const row of ADDRESSES) {
  test(`address event: ${row.name}`, async (t) => {
    const host = new Host([VETH, address(1, 5)]);
    const { watch, changes } = follow(host);
    await watch.current();
    host.emit(datagram(...row.in), 0);
    t.is(changes() > 0, row.isNews);
    const { addresses } = await watch.current();
    t.is([...addresses].map(([name, all]) => [name, ...all].join(' ')).join(), row.out);
  });
}

test('an address of the wrong length is refused', async (t) => {
  const header = [2, 24, 0, 0, 5, 0, 0, 0];
  const bad = {
    type: k.RTM_NEWADDR,
    body: body(header, schema.address, { local: new Uint8Array(16) }),
  };
  await t.throwsAsync(readHostNetwork(new Host([VETH, bad]).native(), ''), { message: /16 bytes/ });
});
