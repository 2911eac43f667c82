// Every cell by name: how to make it, what its memory does, what it costs. The README's table, the trainer's choices and the
// benchmarks come from here, so that a new cell is its file, an export, and a row.
import { checkConfig } from '@mnemix/tensor';
import { stateBytes, type AnyCell } from '@mnemix/layers';
import { based } from './based.ts';
import { comba } from './comba.ts';
import {
  deltaRuleCost,
  diagonalDecayCost,
  diagonalPlusLowRankCost,
  logLinearDecayCost,
  logLinearDeltaCost,
  mesaCost,
  sumOfCosts,
  timesCost,
  titansCost,
  tttLinearCost,
  type CostFormula,
} from './cost.ts';
import { deltaNet } from './delta-net.ts';
import { gatedDeltaNet } from './gated-delta-net.ts';
import { gatedDeltaNet2 } from './gated-delta-net2.ts';
import { gatedDeltaProduct } from './gated-delta-product.ts';
import { gla } from './gla.ts';
import { gsa } from './gsa.ts';
import { hgrn2 } from './hgrn2.ts';
import { kda } from './kda.ts';
import { DEFAULT_LEVELS } from './level-scales.ts';
import { lightning } from './lightning.ts';
import { linearAttention } from './linear-attention.ts';
import { logLinearGdn } from './log-linear-gdn.ts';
import { logLinearMamba2 } from './log-linear-mamba2.ts';
import { mamba2 } from './mamba2.ts';
import { MESA_STEPS, mesaNet } from './mesa-net.ts';
import { productCount } from './quadratic-attention.ts';
import { rebased } from './rebased.ts';
import { retNet } from './retnet.ts';
import { rwkv6 } from './rwkv6.ts';
import { rwkv7 } from './rwkv7.ts';
import { simpleGla } from './simple-gla.ts';
import { titans } from './titans.ts';
import { tttLinear } from './ttt-linear.ts';

/** Sizes that mean the same for every cell, so that one can be swapped for another. */
export interface CellSizes {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** dk of a head. */
  readonly keyWidth: number;
  /** dv of a head. */
  readonly valueWidth: number;
}

/**
 * The residual block that a cell's model has around it: RMSNorm and a SwiGLU MLP (`llama`), the mixer alone (`mamba`), or
 * LayerNorms and a channel mix behind a token shift (`rwkv6`, `rwkv7`).
 */
export type BlockKind = 'llama' | 'mamba' | 'rwkv6' | 'rwkv7';

export interface CellEntry<Config = never> {
  readonly create: (config: Config) => AnyCell;
  /** The options that give every head these widths; `create` refuses widths that the cell cannot have. */
  readonly ofSizes: (sizes: CellSizes) => NoInfer<Config>;
  /** How a head's memory S [dk, dv] changes with a token. */
  readonly update: string;
  /** The paper. */
  readonly source: string;
  readonly cost: CostFormula;
  /** `llama` if left out. */
  readonly block?: BlockKind;
  /** The cell differs from layer to layer: it takes `layer` and `layers`. */
  readonly layered?: true;
}

const entry = <Config>(row: CellEntry<Config>): CellEntry<Config> => row;

/** Sizes as ratios of the model's width. */
const ratios = ({ width, heads, keyWidth, valueWidth }: CellSizes) => ({
  width,
  heads,
  expandK: (heads * keyWidth) / width,
  expandV: (heads * valueWidth) / width,
});

/** Sizes as a key width and a ratio of it. */
const headRatio = ({ width, heads, keyWidth, valueWidth }: CellSizes) => ({
  width,
  heads,
  headWidth: keyWidth,
  expandV: valueWidth / keyWidth,
});

/** Sizes of Based and ReBased: the keys are what their feature maps take. */
const quadraticSizes = ({ width, heads, keyWidth, valueWidth }: CellSizes) => ({
  width,
  heads,
  featureWidth: keyWidth,
  expandV: (heads * valueWidth) / width,
});

/** Sizes of Mamba-2's kin. */
const stateSizes = ({ width, heads, keyWidth, valueWidth }: CellSizes) => ({
  width,
  heads,
  stateWidth: keyWidth,
  expand: (heads * valueWidth) / width,
});

export const cells = {
  linear_attention: entry({
    create: linearAttention,
    ofSizes: ratios,
    update: 'S + φ(k)vᵀ, optionally normalised',
    source: 'Katharopoulos et al. 2020',
    cost: diagonalDecayCost,
  }),
  lightning: entry({
    create: lightning,
    ofSizes: ratios,
    update: 'e^{−s_h}S + k vᵀ',
    source: 'Qin et al. 2024',
    cost: diagonalDecayCost,
    layered: true,
  }),
  retnet: entry({
    create: retNet,
    ofSizes: ratios,
    update: 'γ_h S + k vᵀ, q and k rotated',
    source: 'Sun et al. 2023',
    cost: diagonalDecayCost,
  }),
  gla: entry({
    create: gla,
    ofSizes: ratios,
    update: 'Diag(e^g)S + k vᵀ',
    source: 'Yang et al. 2023',
    cost: diagonalDecayCost,
  }),
  delta_net: entry({
    create: deltaNet,
    ofSizes: ratios,
    update: '(I − βkkᵀ)S + βk vᵀ',
    source: 'Schlag et al. 2021; Yang et al. 2024',
    cost: deltaRuleCost,
  }),
  gated_delta_net: entry({
    create: gatedDeltaNet,
    ofSizes: headRatio,
    update: 'e^g(I − βkkᵀ)S + βk vᵀ',
    source: 'Yang, Kautz & Hatamizadeh 2024',
    cost: deltaRuleCost,
  }),
  ttt_linear: entry({
    create: tttLinear,
    ofSizes: ratios,
    update: '[W; c] − η Σ [k; 1]∇ℓᵀ over a mini-batch',
    source: 'Sun et al. 2024',
    cost: tttLinearCost,
  }),
  titans: entry({
    create: titans,
    ofSizes: ratios,
    update: '(1 − α)M + Z, Z ← ηZ − 2θk∇ℓᵀ',
    source: 'Behrouz et al. 2024',
    cost: titansCost,
  }),
  mamba2: entry({
    create: mamba2,
    ofSizes: stateSizes,
    update: 'e^{dt·A}S + B(dt·x)ᵀ',
    source: 'Dao & Gu 2024',
    cost: diagonalDecayCost,
    block: 'mamba',
  }),
  hgrn2: entry({
    create: hgrn2,
    ofSizes: ratios,
    update: 'Diag(e^g)S + (1 − e^g)vᵀ',
    source: 'Qin et al. 2024',
    cost: diagonalDecayCost,
    layered: true,
  }),
  rwkv6: entry({
    create: rwkv6,
    ofSizes: ratios,
    update: 'Diag(e^w)S + k vᵀ, read before with a bonus',
    source: 'Peng et al. 2024',
    cost: diagonalDecayCost,
    block: 'rwkv6',
    layered: true,
  }),
  rwkv7: entry({
    create: rwkv7,
    ofSizes: headRatio,
    update: 'Diag(e^w)S − (κ ⊙ α)(κᵀS) + k vᵀ',
    source: 'Peng et al. 2025',
    cost: diagonalPlusLowRankCost,
    block: 'rwkv7',
    layered: true,
  }),
  simple_gla: entry({
    create: simpleGla,
    ofSizes: ratios,
    update: 'e^g S + k vᵀ',
    source: 'Yang et al. 2023',
    cost: diagonalDecayCost,
  }),
  gsa: entry({
    create: gsa,
    // As many slots as a key has channels: two memories [dk, dk] and [dk, dv].
    ofSizes: (sizes) => ({ ...ratios(sizes), slots: sizes.keyWidth }),
    update: 'K̃Diag(e^f) + k sᵀ and Diag(e^f)Ṽ + s vᵀ, s = 1 − e^f',
    source: 'Zhang et al. 2024',
    cost: ({ dk, dv }, chunk) =>
      sumOfCosts(diagonalDecayCost({ dk, dv: dk }, chunk), diagonalDecayCost({ dk, dv }, chunk)),
  }),
  based: entry({
    create: based,
    ofSizes: quadraticSizes,
    update: 'S + φ(k)vᵀ, φ(q)·φ(k) = 1 + s + s²/2, normalised',
    source: 'Arora et al. 2024',
    cost: ({ dk, dv }, chunk) => diagonalDecayCost({ dk: 1 + dk + productCount(dk), dv: dv + 1 }, chunk),
  }),
  rebased: entry({
    create: rebased,
    ofSizes: quadraticSizes,
    update: 'S + φ(k)vᵀ, φ(q)·φ(k) = s², normalised',
    source: 'Aksenov et al. 2024',
    cost: ({ dk, dv }, chunk) => diagonalDecayCost({ dk: productCount(dk), dv: dv + 1 }, chunk),
  }),
  kda: entry({
    create: kda,
    ofSizes: headRatio,
    update: '(I − βkkᵀ)Diag(e^g)S + βk vᵀ',
    source: 'Kimi Team 2025',
    cost: deltaRuleCost,
  }),
  gdn2: entry({
    create: gatedDeltaNet2,
    ofSizes: headRatio,
    update: '(I − k(b ⊙ k)ᵀ)Diag(e^g)S + k(w ⊙ v)ᵀ',
    source: 'Hatamizadeh, Choi & Kautz 2026',
    cost: deltaRuleCost,
  }),
  comba: entry({
    create: comba,
    ofSizes: headRatio,
    update: '(e^g − βkkᵀ)S + βk vᵀ, read at q − Dk',
    source: 'Hu et al. 2025',
    cost: deltaRuleCost,
  }),
  gated_delta_product: entry({
    create: gatedDeltaProduct,
    ofSizes: headRatio,
    update: 'e^g S, then twice (I − βkkᵀ)S + βk vᵀ',
    source: 'Siems et al. 2025',
    cost: (widths, chunk) => timesCost(2, deltaRuleCost(widths, chunk)),
  }),
  log_linear_mamba2: entry({
    create: logLinearMamba2,
    ofSizes: stateSizes,
    update: "Mamba-2's, an S for each level of the past",
    source: 'Guo et al. 2025',
    cost: logLinearDecayCost(DEFAULT_LEVELS),
    block: 'mamba',
  }),
  log_linear_gdn: entry({
    create: logLinearGdn,
    ofSizes: headRatio,
    update: "Gated DeltaNet's, an S for each level of the past",
    source: 'Guo et al. 2025',
    cost: logLinearDeltaCost(DEFAULT_LEVELS),
  }),
  mesa_net: entry({
    create: mesaNet,
    ofSizes: headRatio,
    update: 'e^g S + βk vᵀ, e^g H + βkkᵀ, read by (H + Diag λ)⁻¹q',
    source: 'von Oswald et al. 2025',
    cost: mesaCost(MESA_STEPS),
  }),
} as const;

export type CellName = keyof typeof cells;

/** Options of each cell, by name. */
export type CellConfigs = { readonly [Name in CellName]: Parameters<(typeof cells)[Name]['create']>[0] };

/** What the catalogue says of a cell. */
export type AnyCellEntry = CellEntry<Record<string, unknown> & { readonly width: number }>;

/**
 * The row of a cell.
 *
 * @param where who asks, for the error
 * @throws MnemixError `config` where there is no cell of this name
 */
export function cellEntry(where: string, name: string): AnyCellEntry {
  checkConfig(
    Object.hasOwn(cells, name),
    where,
    `there is no cell "${name}".`,
    `Choose one of ${Object.keys(cells).join(', ')}.`,
  );
  return cells[name as CellName] as unknown as AnyCellEntry;
}

/** Bytes of one sequence's state: memory, convolution windows and whatever else the cell carries. */
export function cellStateBytes(name: CellName, sizes: CellSizes): number {
  const { create, ofSizes } = cellEntry('cellStateBytes(name)', name);
  return stateBytes(create(ofSizes(sizes)).stateShape(1));
}
