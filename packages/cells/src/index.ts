// @mnemix/cells: linear-attention memories, one file each.
export * from './based.ts';
export * from './catalogue.ts';
export * from './comba.ts';
export * from './cost.ts';
export * from './delta-net.ts';
export * from './feature-maps.ts';
export {
  gatedDeltaNet,
  type GatedDeltaNetConfig,
  type GatedDeltaNetParams,
  type GatedDeltaNetState,
} from './gated-delta-net.ts';
export * from './gated-delta-net2.ts';
export * from './gated-delta-product.ts';
export * from './gla.ts';
export * from './gsa.ts';
export * from './hgrn2.ts';
export * from './kda.ts';
export * from './lightning.ts';
export * from './linear-attention.ts';
export * from './log-linear-gdn.ts';
export * from './log-linear-mamba2.ts';
export { mamba2, type Mamba2Config, type Mamba2Params, type Mamba2State } from './mamba2.ts';
export * from './mesa-net.ts';
export * from './rebased.ts';
export * from './retnet.ts';
export * from './rwkv6.ts';
export * from './rwkv7.ts';
export * from './simple-gla.ts';
export * from './titans.ts';
export * from './ttt-linear.ts';
export type {
  QuadraticAttentionCell,
  QuadraticAttentionParams,
  QuadraticAttentionState,
} from './quadratic-attention.ts';
