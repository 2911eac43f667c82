// One row a cell: how to build it small, which fixtures hold it, and the options of fla's constructor.
import { cells, type CellName } from '../src/index.ts';
import type { AnyCell } from '@mnemix/layers';

export interface CellCase {
  readonly name: CellName;
  /** A small instance with widths that are not multiples of four. */
  readonly small: () => AnyCell;
  readonly fixtures: Readonly<Record<string, AnyCell>>;
}

const width = 64;

export const cellCases: readonly CellCase[] = [
  {
    name: 'linear_attention',
    small: () => cells.linear_attention({ width: 12, heads: 2, featureMap: 'elu', normalise: true }),
    fixtures: {
      linear_attention: cells.linear_attention({ width, heads: 2 }),
      linear_attention_normalised: cells.linear_attention({
        width,
        heads: 2,
        featureMap: 'elu',
        normalise: true,
      }),
    },
  },
  {
    name: 'retnet',
    small: () => cells.retnet({ width: 12, heads: 2 }),
    fixtures: { retnet: cells.retnet({ width, heads: 2 }) },
  },
  {
    name: 'gla',
    small: () => cells.gla({ width: 12, heads: 2, expandK: 1, gateRank: 3 }),
    fixtures: { gla: cells.gla({ width, heads: 2, expandK: 1 }) },
  },
  {
    name: 'delta_net',
    small: () => cells.delta_net({ width: 12, heads: 2 }),
    fixtures: { delta_net: cells.delta_net({ width, heads: 2 }) },
  },
  {
    name: 'gated_delta_net',
    small: () =>
      cells.gated_delta_net({
        width: 12,
        heads: 2,
        headWidth: 5,
        expandV: 1,
        valueHeads: 4,
        negativeEigenvalues: true,
      }),
    fixtures: {
      gated_delta_net: cells.gated_delta_net({ width, heads: 2, headWidth: 16, expandV: 2 }),
      gated_delta_net_neg: cells.gated_delta_net({
        width,
        heads: 2,
        headWidth: 16,
        expandV: 1,
        valueHeads: 4,
        negativeEigenvalues: true,
      }),
    },
  },
];
