// One row a cell: how to build it small, which fixtures hold it, and the options of fla's constructor.
import { cells, type CellName } from '../src/index.ts';
import type { AnyCell } from '@mnemix/layers';
import { mapTree, tidy } from '@mnemix/tensor';
import {
  based as basedOracle,
  type CellOracle,
  cells as oracles,
  comba as combaOracle,
  type FlaConfig,
  gatedDeltaProduct as gatedDeltaProductOracle,
  gdn2 as gdn2Oracle,
  gsa as gsaOracle,
  hgrn2 as hgrn2Oracle,
  kda as kdaOracle,
  lightning as lightningOracle,
  logLinearGdn as logLinearGdnOracle,
  logLinearMamba2 as logLinearMamba2Oracle,
  mamba2 as mamba2Oracle,
  mesaNet as mesaNetOracle,
  rebased as rebasedOracle,
  rwkv6 as rwkv6Oracle,
  rwkv7 as rwkv7Oracle,
  simpleGla as simpleGlaOracle,
  titansCell,
  tttLinearCell,
} from '@mnemix/testkit';

export interface CellCase {
  readonly name: CellName;
  /** A small instance with widths that are not multiples of four. */
  readonly small: () => AnyCell;
  /** Its float64 layer, and what that is told of the options. */
  readonly oracle: readonly [cell: CellOracle, config: FlaConfig];
  readonly fixtures: Readonly<Record<string, AnyCell>>;
}

const width = 64;

/** The cell from random parameters, where its own start is an output of zeros. */
const awake = (cell: AnyCell): AnyCell => ({
  ...cell,
  init: (rng) =>
    tidy(() => mapTree(cell.init(rng), (leaf, path) => rng.fold(path).normal(leaf.shape, 0, 0.4))),
});

export const cellCases: readonly CellCase[] = [
  {
    name: 'linear_attention',
    small: () => cells.linear_attention.create({ width: 12, heads: 2, featureMap: 'elu', normalise: true }),
    oracle: [oracles.linear_attn, { num_heads: 2, feature_map: 'elu', do_feature_map_norm: true }],
    fixtures: {
      linear_attention: cells.linear_attention.create({ width, heads: 2 }),
      linear_attention_normalised: cells.linear_attention.create({
        width,
        heads: 2,
        featureMap: 'elu',
        normalise: true,
      }),
    },
  },
  {
    name: 'lightning',
    small: () => cells.lightning.create({ width: 12, heads: 2, expandK: 0.5, layer: 1, layers: 3 }),
    oracle: [lightningOracle, { num_heads: 2, layer_idx: 1, num_hidden_layers: 3 }],
    fixtures: {},
  },
  {
    name: 'retnet',
    small: () => cells.retnet.create({ width: 12, heads: 2 }),
    oracle: [oracles.retnet, { num_heads: 2 }],
    fixtures: { retnet: cells.retnet.create({ width, heads: 2 }) },
  },
  {
    name: 'gla',
    small: () => cells.gla.create({ width: 12, heads: 2, expandK: 1, gateRank: 3 }),
    oracle: [oracles.gla, { num_heads: 2 }],
    fixtures: { gla: cells.gla.create({ width, heads: 2, expandK: 1 }) },
  },
  {
    name: 'delta_net',
    small: () => cells.delta_net.create({ width: 12, heads: 2 }),
    oracle: [oracles.delta_net, { num_heads: 2 }],
    fixtures: { delta_net: cells.delta_net.create({ width, heads: 2 }) },
  },
  {
    name: 'gated_delta_net',
    small: () =>
      cells.gated_delta_net.create({
        width: 12,
        heads: 2,
        headWidth: 5,
        expandV: 1,
        valueHeads: 4,
        negativeEigenvalues: true,
      }),
    oracle: [oracles.gated_deltanet, { num_heads: 2, num_v_heads: 4, allow_neg_eigval: true }],
    fixtures: {
      gated_delta_net: cells.gated_delta_net.create({ width, heads: 2, headWidth: 16, expandV: 2 }),
      gated_delta_net_neg: cells.gated_delta_net.create({
        width,
        heads: 2,
        headWidth: 16,
        expandV: 1,
        valueHeads: 4,
        negativeEigenvalues: true,
      }),
    },
  },
  {
    name: 'ttt_linear',
    small: () => cells.ttt_linear.create({ width: 12, heads: 2, miniBatch: 5 }),
    oracle: [tttLinearCell, { num_heads: 2, mini_batch: 5 }],
    fixtures: {},
  },
  {
    name: 'titans',
    small: () => cells.titans.create({ width: 12, heads: 2, expandK: 5 / 6, expandV: 5 / 6, chunkSize: 5 }),
    oracle: [titansCell, { num_heads: 2, chunk_size: 5 }],
    fixtures: {},
  },
  {
    name: 'mamba2',
    small: () => cells.mamba2.create({ width: 12, heads: 6, stateWidth: 5, expand: 1.5, groups: 2 }),
    oracle: [mamba2Oracle, { n_groups: 2 }],
    fixtures: { mamba2: cells.mamba2.create({ width, heads: 8, stateWidth: 16 }) },
  },
  {
    name: 'hgrn2',
    small: () => cells.hgrn2.create({ width: 12, heads: 2, expandK: 0.5 }),
    oracle: [hgrn2Oracle, { num_heads: 2 }],
    fixtures: { hgrn2: cells.hgrn2.create({ width, heads: 2 }) },
  },
  {
    name: 'rwkv6',
    small: () => cells.rwkv6.create({ width: 12, heads: 2, expandV: 5 / 6, mixRank: 3, decayRank: 5 }),
    oracle: [rwkv6Oracle, { num_heads: 2 }],
    fixtures: { rwkv6: cells.rwkv6.create({ width, heads: 2 }) },
  },
  {
    name: 'rwkv7',
    small: () =>
      awake(
        cells.rwkv7.create({
          width: 12,
          heads: 2,
          headWidth: 5,
          expandV: 7 / 5,
          decayRank: 3,
          learningRateRank: 2,
          gateRank: 5,
        }),
      ),
    oracle: [rwkv7Oracle, { num_heads: 2 }],
    fixtures: {},
  },
  {
    name: 'simple_gla',
    small: () => cells.simple_gla.create({ width: 12, heads: 2, expandK: 0.5 }),
    oracle: [simpleGlaOracle, { num_heads: 2 }],
    fixtures: {},
  },
  {
    name: 'gsa',
    small: () => cells.gsa.create({ width: 12, heads: 2, slots: 7, expandK: 5 / 6 }),
    oracle: [gsaOracle, { num_heads: 2 }],
    fixtures: { gsa: cells.gsa.create({ width, heads: 2, slots: 16 }) },
  },
  {
    name: 'based',
    small: () => cells.based.create({ width: 12, heads: 2, featureWidth: 5 }),
    oracle: [basedOracle, { num_heads: 2 }],
    fixtures: {},
  },
  {
    name: 'rebased',
    small: () => cells.rebased.create({ width: 12, heads: 2, featureWidth: 5 }),
    oracle: [rebasedOracle, { num_heads: 2 }],
    fixtures: {},
  },
  {
    name: 'kda',
    small: () => cells.kda.create({ width: 12, heads: 2, headWidth: 5, expandV: 3 / 5, valueHeads: 4 }),
    oracle: [kdaOracle, { num_heads: 2, num_v_heads: 4 }],
    fixtures: { kda: cells.kda.create({ width, heads: 2, headWidth: 16 }) },
  },
  {
    name: 'gdn2',
    small: () => cells.gdn2.create({ width: 12, heads: 2, headWidth: 5, expandV: 3 / 5, valueHeads: 4 }),
    oracle: [gdn2Oracle, { num_heads: 2, num_v_heads: 4 }],
    fixtures: {},
  },
  {
    name: 'comba',
    small: () => cells.comba.create({ width: 12, heads: 2, headWidth: 5, expandV: 3 / 5, valueHeads: 4 }),
    oracle: [combaOracle, { num_heads: 2, num_v_heads: 4 }],
    fixtures: {},
  },
  {
    name: 'gated_delta_product',
    small: () =>
      cells.gated_delta_product.create({
        width: 12,
        heads: 2,
        headWidth: 5,
        expandV: 3 / 5,
        valueHeads: 4,
        householders: 3,
      }),
    oracle: [gatedDeltaProductOracle, { num_heads: 2, num_v_heads: 4, num_householder: 3 }],
    fixtures: {
      gated_delta_product: cells.gated_delta_product.create({ width, heads: 2, headWidth: 16, expandV: 1 }),
    },
  },
  {
    name: 'log_linear_mamba2',
    small: () =>
      cells.log_linear_mamba2.create({
        width: 12,
        heads: 6,
        stateWidth: 5,
        expand: 1.5,
        groups: 2,
        levels: 6,
      }),
    oracle: [logLinearMamba2Oracle, { n_groups: 2 }],
    fixtures: {},
  },
  {
    name: 'log_linear_gdn',
    small: () =>
      cells.log_linear_gdn.create({ width: 12, heads: 2, headWidth: 5, expandV: 7 / 5, levels: 6 }),
    oracle: [logLinearGdnOracle, { num_heads: 2 }],
    fixtures: {},
  },
  {
    name: 'mesa_net',
    small: () => cells.mesa_net.create({ width: 12, heads: 2, headWidth: 5, expandV: 7 / 5 }),
    oracle: [mesaNetOracle, { num_heads: 2 }],
    fixtures: {},
  },
];
