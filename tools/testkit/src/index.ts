/**
 * The private test kit: float64 oracles, golden data, the relative RMS matcher. Importing it registers the
 * matcher.
 */
export * from './array.ts';
export * from './balance.ts';
export * from './blocks.ts';
export * from './bmojo.ts';
export * from './cells.ts';
export * from './comba-cell.ts';
export * from './delta-cells.ts';
export * from './diagonal-cells.ts';
export * from './differences.ts';
export * from './engine-gradients.ts';
export * from './engines.ts';
export * from './feature-maps.ts';
export * from './fixtures.ts';
export * from './gated-delta-product-cell.ts';
export * from './gdn2-cell.ts';
export * from './gsa-cell.ts';
export * from './hgrn2-cell.ts';
export * from './idle-webgpu.ts';
export * from './kda-cell.ts';
export * from './lightning-cell.ts';
export * from './log-linear-cells.ts';
export * from './log-linear.ts';
export * from './mamba2-cell.ts';
export * from './matchers.ts';
export * from './mesa-cell.ts';
export * from './mesa.ts';
export * from './model.ts';
export * from './mom.ts';
export * from './quadratic-cells.ts';
export * from './random.ts';
export * from './relative-rms.ts';
export * from './row-engines.ts';
export * from './rwkv6-cell.ts';
export * from './rwkv7-cell.ts';
export * from './safetensors.ts';
export * from './shapes.ts';
export * from './simple-gla-cell.ts';
export * from './titans-cell.ts';
export * from './titans.ts';
export * from './training.ts';
export * from './ttt-cell.ts';
export * from './ttt.ts';
export * from './webgpu.ts';
