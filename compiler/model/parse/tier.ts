/** Tiers. The three built-in ones cannot be given other values. Source: specification section 1.4. */
import { BUILT_IN_TIERS, type Tier } from '../cluster.ts';
import type { Metadata } from './metadata.ts';
import { isDnsLabel } from './names.ts';
import {
  type Cursor,
  attempt,
  fail,
  readFields,
  readNumber,
  readWord,
  show,
  warn,
} from './reader.ts';

/** Of a tier without order; Calico's client fills it in. */
const DEFAULT_ORDER = 1_000_000;

export function parseTier(spec: Cursor, meta: Metadata): Tier {
  const { name } = meta;
  if (!isDnsLabel(name)) {
    const text = `${show(name)} has a dot or is longer than 63 characters; it is used as it is`;
    warn(meta.nameAt, 'name-style', text);
  }
  const fields = readFields(spec, ['order', 'defaultAction'], 'scope');
  const defaultAction = readDefaultAction(fields.defaultAction);
  const tier: Tier = {
    kind: 'Tier',
    name,
    order: readNumber(fields.order) ?? DEFAULT_ORDER,
    defaultAction,
  };
  checkBuiltIn(fields, tier);
  return tier;
}

/** Anything but `Pass` denies, also what cannot be read. */
function readDefaultAction(field: Cursor): Tier['defaultAction'] {
  const word = attempt(field, 'the tier denies by default', (at) =>
    readWord(at, ['Pass', 'Deny'], 'exact'),
  );
  return word === 'Pass' ? 'pass' : 'deny';
}

type TierFields = Readonly<Record<'order' | 'defaultAction', Cursor>>;

function checkBuiltIn(fields: TierFields, { name, order, defaultAction }: Tier): void {
  const builtIn = BUILT_IN_TIERS.find((tier) => tier.name === name);
  if (builtIn === undefined) return;
  if (defaultAction !== builtIn.defaultAction) {
    const action = builtIn.defaultAction === 'pass' ? 'Pass' : 'Deny';
    const text = `The '${name}' tier must have default action '${action}'`;
    fail(fields.defaultAction, 'tier-built-in', text);
  }
  if (order !== builtIn.order) {
    fail(fields.order, 'tier-built-in', `${name} tier order must be ${builtIn.order}`);
  }
}
