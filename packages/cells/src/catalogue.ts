// Every cell by name. A new cell is its file, an export, and a row here.
import type { AnyCell } from '@mnemix/layers';
import { deltaNet, type DeltaNetConfig } from './delta-net.ts';
import { gatedDeltaNet, type GatedDeltaNetConfig } from './gated-delta-net.ts';
import { gla, type GlaConfig } from './gla.ts';
import { linearAttention, type LinearAttentionConfig } from './linear-attention.ts';
import { retNet, type RetNetConfig } from './retnet.ts';

/** Options of each cell, by name. */
export interface CellConfigs {
  readonly delta_net: DeltaNetConfig;
  readonly gated_delta_net: GatedDeltaNetConfig;
  readonly gla: GlaConfig;
  readonly linear_attention: LinearAttentionConfig;
  readonly retnet: RetNetConfig;
}

export type CellName = keyof CellConfigs;

type Cells = { readonly [Name in CellName]: (config: CellConfigs[Name]) => AnyCell };

export const cells = {
  delta_net: deltaNet,
  gated_delta_net: gatedDeltaNet,
  gla,
  linear_attention: linearAttention,
  retnet: retNet,
} as const satisfies Cells;
