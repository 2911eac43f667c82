/**
 * The private test kit: float64 oracles, golden data, the relative RMS matcher. Importing it registers the
 * matcher.
 */
export * from './array.ts';
export * from './balance.ts';
export * from './blocks.ts';
export * from './cells.ts';
export * from './delta-cells.ts';
export * from './diagonal-cells.ts';
export * from './differences.ts';
export * from './engine-gradients.ts';
export * from './engines.ts';
export * from './feature-maps.ts';
export * from './fixtures.ts';
export * from './matchers.ts';
export * from './model.ts';
export * from './mom.ts';
export * from './random.ts';
export * from './relative-rms.ts';
export * from './row-engines.ts';
export * from './safetensors.ts';
export * from './shapes.ts';
export * from './training.ts';
export * from './webgpu.ts';
