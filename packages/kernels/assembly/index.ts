export { deltaRule, deltaRuleScratch } from './delta-rule';
export { deltaRuleGradient, deltaRuleGradientScratch } from './delta-rule-gradient';
export { diagonalDecay, diagonalDecayScratch } from './diagonal-decay';
export { diagonalDecayGradient, diagonalDecayGradientScratch } from './diagonal-decay-gradient';
export { diagonalPlusLowRank, diagonalPlusLowRankScratch } from './diagonal-plus-low-rank';
export {
  diagonalPlusLowRankGradient, diagonalPlusLowRankGradientScratch,
} from './diagonal-plus-low-rank-gradient';
export { valueDecay, valueDecayScratch } from './value-decay';
export { valueDecayGradient, valueDecayGradientScratch } from './value-decay-gradient';
export { adamW, storeNumber, sumSquares } from './adam-w';
export { crossEntropy, crossEntropyBackward } from './cross-entropy';
export { l2Norm, l2NormBackward } from './l2-norm';
export { layerNorm, layerNormBackward } from './layer-norm';
export { logDecayGate, logDecayGateBackward } from './log-decay-gate';
export { rmsNorm, rmsNormBackward } from './rms-norm';
export { rmsNormGated, rmsNormGatedBackward } from './rms-norm-gated';
export { routeGather, routeMix, routeMixBackward } from './route-mix';
export { shortConv, shortConvBackward } from './short-conv';
export { swiGlu, swiGluBackward } from './swi-glu';
export { linear, linearBackward, linearBackwardScratch, linearScratch } from './linear';
export { groupedLinear, groupedLinearBackward } from './grouped-linear';
