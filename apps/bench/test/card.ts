// What a backend on a card says of itself, for results that are made up.
import type { KernelsResult } from '../src/kernels/index.ts';

export const card: KernelsResult['backend'] = {
  name: 'webgpu',
  adapter: { vendor: 'someone', architecture: '', description: 'card' },
  features: [],
  limits: {},
  threads: 1,
  simd: false,
  software: false,
  rejected: [],
};
