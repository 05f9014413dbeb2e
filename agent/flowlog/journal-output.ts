/**
 * Records into journald over its native protocol, with a field for everything that one would search for. A journal that is full or away
 * costs records, which are counted, and never time.
 * Source: https://systemd.io/JOURNAL_NATIVE_PROTOCOL (systemd 257).
 */
import { errnoName } from '../errors.ts';
import type { Native } from '../native/native.ts';
import { TroubleTeller } from './output.ts';
import type { FlowOutput, OutputCounts, OutputTrouble } from './output.ts';
import { printCompact } from './print.ts';
import type { FlowRecord, RecordEnd } from './record.ts';

const JOURNAL_SOCKET = '/run/systemd/journal/socket';

/** syslog(3): notice and info. */
const PRIORITIES: Readonly<Record<FlowRecord['verdict'], number>> = {
  deny: 5,
  log: 6,
  allow: 6,
  unknown: 5,
};

export function openJournalOutput(
  native: Pick<Native, 'sendUnixDatagram'>,
  trouble: OutputTrouble,
  path = JOURNAL_SOCKET,
): FlowOutput {
  const counts: OutputCounts = { written: 0, lost: 0 };
  const teller = new TroubleTeller('journald', trouble);
  return {
    name: 'journald',
    counts,
    write(records) {
      for (const record of records) {
        const result = native.sendUnixDatagram(path, journalEntry(record));
        if (result < 0) {
          counts.lost++;
          teller.fail(`${path}: ${errnoName(-result)}`);
        } else {
          counts.written++;
          teller.succeed();
        }
      }
    },
    close: () => Promise.resolve(),
  };
}

/** One datagram: `NAME=value` lines; a value with a line break goes behind its length. */
export function journalEntry(record: FlowRecord): Uint8Array {
  const fields = Object.entries(journalFields(record)).filter(([, value]) => value !== undefined);
  return Buffer.concat(fields.map(([name, value]) => journalField(name, String(value))));
}

function journalField(name: string, value: string): Buffer {
  if (!value.includes('\n')) return Buffer.from(`${name}=${value}\n`);
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, bytes, Buffer.from('\n')]);
}

type Fields = Readonly<Record<string, string | number | undefined>>;

function journalFields(record: FlowRecord): Fields {
  const { policy, implicit } = record;
  return {
    MESSAGE: printCompact(record),
    PRIORITY: PRIORITIES[record.verdict],
    SYSLOG_IDENTIFIER: 'picket-flow',
    PICKET_VERDICT: record.verdict,
    PICKET_DIRECTION: record.direction,
    PICKET_PROTO: record.proto,
    ...endFields('SRC', record.src),
    ...endFields('DST', record.dst),
    PICKET_POLICY_KIND: policy?.kind,
    PICKET_POLICY_NAMESPACE: policy?.namespace,
    PICKET_POLICY_NAME: policy?.name,
    PICKET_POLICY_TIER: policy?.tier ?? implicit?.tier,
    PICKET_POLICY_RULE: policy?.rule,
    PICKET_IMPLICIT: implicit?.reason,
    PICKET_HOST_ENDPOINT: record.hostEndpoint?.name,
    PICKET_HOST_STAGE: record.hostEndpoint?.stage,
    PICKET_SELECTED_BY: implicit?.selectedBy.join(' '),
    PICKET_COUNT: record.count,
    PICKET_SUPPRESSED: record.suppressed,
    PICKET_RULE_ID: record.ruleId,
    PICKET_RECORD: JSON.stringify(record),
  };
}

function endFields(side: 'SRC' | 'DST', { ip, port, kind, namespace, name }: RecordEnd): Fields {
  return {
    [`PICKET_${side}_IP`]: ip,
    [`PICKET_${side}_PORT`]: port,
    [`PICKET_${side}_KIND`]: kind,
    [`PICKET_${side}_NAMESPACE`]: namespace,
    [`PICKET_${side}_NAME`]: name,
  };
}
