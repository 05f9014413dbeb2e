import test from 'ava';
import { NetlinkDecodeError, Writer, type Codec } from '../../../../agent/netlink/codec.ts';
import { beginMessage, endMessage, messages } from '../../../../agent/netlink/message.ts';
import { dumpLinks, readRouteEvent, type RouteEvent } from '../../../../agent/netlink/route.ts';
import * as schema from '../../../../agent/netlink/schema/rtnetlink.ts';
import * as k from '../../../../agent/netlink/uapi.generated.ts';
import { scriptedKernel } from '../../../support/nft-kernel.ts';

function body<T>(header: readonly number[], codec: Codec<T>, value: T): Uint8Array {
  const writer = new Writer();
  writer.raw(Uint8Array.from(header));
  codec.write(writer, value);
  return writer.finish();
}

/** struct ifinfomsg of interface 5. */
const IFINFO = [0, 0, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const AF_BRIDGE = 7;
const rtmsg = (family: number, prefixLen: number): number[] => {
  return [family, prefixLen, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
};

const ROWS: readonly { name: string; type: number; in: Uint8Array; out: RouteEvent | undefined }[] =
  [
    {
      name: 'new link',
      type: k.RTM_NEWLINK,
      in: body(IFINFO, schema.link, { name: 'cali1', mtuBytes: 1450 }),
      out: {
        kind: 'link',
        op: 'put',
        link: { index: 5, name: 'cali1', kind: undefined, isUp: false },
      },
    },
    {
      name: 'a bridge',
      type: k.RTM_NEWLINK,
      in: body([...IFINFO.slice(0, 8), 1, ...IFINFO.slice(9)], schema.link, {
        name: 'br0',
        info: { kind: 'bridge' },
      }),
      out: { kind: 'link', op: 'put', link: { index: 5, name: 'br0', kind: 'bridge', isUp: true } },
    },
    {
      name: 'a port that left its bridge still exists',
      type: k.RTM_DELLINK,
      in: body([AF_BRIDGE, ...IFINFO.slice(1)], schema.link, { name: 'cali1' }),
      out: undefined,
    },
    {
      name: 'deleted link',
      type: k.RTM_DELLINK,
      in: body(IFINFO, schema.link, { name: 'cali1' }),
      out: {
        kind: 'link',
        op: 'delete',
        link: { index: 5, name: 'cali1', kind: undefined, isUp: false },
      },
    },
    {
      name: 'IPv4 host route, table in an attribute',
      type: k.RTM_NEWROUTE,
      in: body(rtmsg(2, 32), schema.route, {
        dst: Uint8Array.of(10, 0, 0, 1),
        oif: 5,
        table: 1000,
      }),
      out: {
        kind: 'route',
        op: 'put',
        route: {
          dst: { family: 4, value: 0x0a000001n, prefixLen: 32 },
          oif: 5,
          hasGateway: false,
          table: 1000,
          type: 1,
        },
      },
    },
    {
      name: 'IPv4 host route through a gateway of the other family',
      type: k.RTM_NEWROUTE,
      in: body(rtmsg(2, 32), schema.route, {
        dst: Uint8Array.of(10, 0, 0, 1),
        oif: 5,
        via: new Uint8Array(18),
      }),
      out: {
        kind: 'route',
        op: 'put',
        route: {
          dst: { family: 4, value: 0x0a000001n, prefixLen: 32 },
          oif: 5,
          hasGateway: true,
          table: 254,
          type: 1,
        },
      },
    },
    {
      name: 'IPv6 default route without one interface',
      type: k.RTM_DELROUTE,
      in: body(rtmsg(10, 0), schema.route, {}),
      out: {
        kind: 'route',
        op: 'delete',
        route: {
          dst: { family: 6, value: 0n, prefixLen: 0 },
          oif: undefined,
          hasGateway: false,
          table: 254,
          type: 1,
        },
      },
    },
    {
      name: 'route of another family',
      type: k.RTM_NEWROUTE,
      in: body(rtmsg(28, 0), schema.route, {}),
      out: undefined,
    },
    { name: 'another message', type: k.NLMSG_DONE, in: new Uint8Array(4), out: undefined },
  ];

function datagram(type: number, payload: Uint8Array): Uint8Array {
  const writer = new Writer();
  const at = beginMessage(writer, { type, flags: 0, seq: 0 });
  writer.raw(payload);
  endMessage(writer, at);
  return writer.finish();
}

for (const { name, type, in: payload, out } of ROWS) {
  test(`event: ${name}`, (t) => {
    t.deepEqual([...messages(datagram(type, payload))].map(readRouteEvent), [out]);
  });

  test(`cut at any length it never crashes: ${name}`, (t) => {
    for (let length = 0; length < payload.length; length++) {
      try {
        for (const message of messages(datagram(type, payload.subarray(0, length)))) {
          readRouteEvent(message);
        }
      } catch (error) {
        t.true(error instanceof NetlinkDecodeError, `length ${length}: ${String(error)}`);
      }
    }
    t.pass();
  });
}

test('a route whose address has the wrong length is refused', (t) => {
  const payload = body(rtmsg(2, 24), schema.route, { dst: new Uint8Array(16) });
  t.throws(() => [...messages(datagram(k.RTM_NEWROUTE, payload))].map(readRouteEvent), {
    instanceOf: NetlinkDecodeError,
  });
});

test('a link list that changed while it was read is read again', async (t) => {
  let calls = 0;
  const kernel = scriptedKernel(() => {
    const flags = calls++ === 0 ? k.NLM_F_DUMP_INTR : 0;
    return [{ type: k.RTM_NEWLINK, flags, body: body(IFINFO, schema.link, { name: 'eth0' }) }];
  });
  t.deepEqual(await dumpLinks(kernel), [{ index: 5, name: 'eth0', kind: undefined, isUp: false }]);
  t.is(calls, 2);
});
