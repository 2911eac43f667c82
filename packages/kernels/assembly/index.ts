export function addAll(x: usize, y: usize, n: i32): void {
  for (let i = 0; i < n; i += 4) v128.store(y + (i << 2), f32x4.add(v128.load(x + (i << 2)), v128.load(y + (i << 2))));
}
export { adamW, storeNorm, sumSquares } from './adam-w';
export { crossEntropy, crossEntropyBackward } from './cross-entropy';
export { l2Norm, l2NormBackward } from './l2-norm';
export { logDecayGate, logDecayGateBackward } from './log-decay-gate';
export { rmsNorm, rmsNormBackward } from './rms-norm';
export { rmsNormGated, rmsNormGatedBackward } from './rms-norm-gated';
export { routeGather, routeMix, routeMixBackward } from './route-mix';
export { shortConv, shortConvBackward } from './short-conv';
export { swiGlu, swiGluBackward } from './swi-glu';
