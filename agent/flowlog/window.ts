/**
 * Logged packets, gathered for one interval: the same rule, addresses, protocol and destination port are one flow, whatever the source
 * port. Packets in, flows with count, first and last time out. Bounded: what does not fit is counted. Refuses to know: what a rule id
 * means, whose the addresses are, the clock.
 */
import type { Address, Family } from '../../compiler/model/ip.ts';
import type { NflogView } from '../netlink/nflog.ts';
import { ADDRESSES_BYTES, parsePacket } from './packet-parse.ts';
import type { ParsedPacket } from './packet-parse.ts';

export interface Flow {
  /** As the kernel logged it. */
  readonly ruleId: string;
  readonly family: Family | undefined;
  readonly source: Address | undefined;
  readonly destination: Address | undefined;
  readonly protocol: number | undefined;
  /** Of the first packet. */
  readonly sport: number | undefined;
  readonly dport: number | undefined;
  readonly icmpType: number | undefined;
  readonly icmpCode: number | undefined;
  readonly isFragment: boolean;
  /** Headers of the first packet were cut or contradictory. */
  readonly isPartial: boolean;
  /** NF_INET_* and interface indexes of the first packet; `undefined` = none. */
  readonly hook: number | undefined;
  readonly inputIndex: number | undefined;
  readonly outputIndex: number | undefined;
  /** Milliseconds since the epoch. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** Packets. */
  readonly count: number;
}

/** A flow that still grows. */
interface GrowingFlow extends Flow {
  lastMs: number;
  count: number;
}

export interface GatheredFlows {
  /** In order of their first packets. */
  readonly flows: readonly Flow[];
  /** Packets of flows for which there was no room. */
  readonly dropped: number;
}

/** A time stamp this far from our own clock is not believed: the packet's clock was set, or the bytes lie. */
const MAX_SKEW_MS = 60_000;

export class FlowWindow {
  readonly #maxFlows: number;
  #flows = new Map<string, GrowingFlow>();
  #dropped = 0;

  constructor(maxFlows: number) {
    this.#maxFlows = maxFlows;
  }

  get size(): number {
    return this.#flows.size;
  }

  /** `nowMs`: for packets without a time stamp. */
  add(view: NflogView, nowMs: number): void {
    const { bytes, prefixAt, prefixEnd, payloadAt, payloadEnd } = view;
    const packet = parsePacket(bytes, payloadAt, payloadEnd);
    const key = flowKey(bytes, prefixAt, prefixEnd, packet);
    const atMs = Math.abs(view.timestampMs - nowMs) < MAX_SKEW_MS ? view.timestampMs : nowMs;
    const flow = this.#flows.get(key);
    if (flow !== undefined) {
      flow.count++;
      if (atMs > flow.lastMs) flow.lastMs = atMs;
    } else if (this.#flows.size < this.#maxFlows) {
      this.#flows.set(key, startFlow(view, packet, atMs));
    } else {
      this.#dropped++;
    }
  }

  /** Hands over what was gathered and starts anew. */
  take(): GatheredFlows {
    const taken = { flows: [...this.#flows.values()], dropped: this.#dropped };
    this.#flows = new Map();
    this.#dropped = 0;
    return taken;
  }
}

function flowKey(bytes: Buffer, prefixAt: number, prefixEnd: number, p: ParsedPacket): string {
  const { family, addressesAt, protocol, dport } = p;
  const rule = latin1(bytes, prefixAt, prefixEnd);
  if (family === undefined) return rule;
  const addresses =
    addressesAt < 0 ? '' : latin1(bytes, addressesAt, addressesAt + ADDRESSES_BYTES[family]);
  const detail = p.icmpType < 0 ? dport : (p.icmpType << 8) | p.icmpCode;
  // Numbers from -1 on; a NUL, which no prefix contains, ends the rule id.
  return `${rule}\0${String.fromCharCode(family, protocol + 1, (detail + 1) & 0xffff, detail < 0 ? 1 : 0)}${addresses}`;
}

function startFlow(view: NflogView, packet: ParsedPacket, atMs: number): GrowingFlow {
  const { bytes } = view;
  const { family, addressesAt } = packet;
  const lenBytes = family === undefined ? 0 : ADDRESSES_BYTES[family] / 2;
  const addressAt = (at: number): Address | undefined =>
    family === undefined || addressesAt < 0
      ? undefined
      : { family, value: BigInt(`0x${hex(bytes, at, at + lenBytes)}`) };
  return {
    ruleId: latin1(bytes, view.prefixAt, view.prefixEnd),
    family,
    source: addressAt(addressesAt),
    destination: addressAt(addressesAt + lenBytes),
    protocol: known(packet.protocol),
    sport: known(packet.sport),
    dport: known(packet.dport),
    icmpType: known(packet.icmpType),
    icmpCode: known(packet.icmpCode),
    isFragment: packet.isFragment,
    isPartial: packet.isPartial,
    hook: known(view.hook),
    inputIndex: view.inputIndex || undefined,
    outputIndex: view.outputIndex || undefined,
    firstMs: atMs,
    lastMs: atMs,
    count: 1,
  };
}

function known(value: number): number | undefined {
  return value < 0 ? undefined : value;
}

/** One character for each byte: cheap, and equal only for equal bytes. */
function latin1(bytes: Buffer, from: number, to: number): string {
  return bytes.toString('latin1', from, to);
}

function hex(bytes: Buffer, from: number, to: number): string {
  return bytes.toString('hex', from, to);
}
