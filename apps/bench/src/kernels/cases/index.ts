// All families of cases, under the names of `--only`.
import type { CaseOptions, KernelCase } from '../case.ts';
import { adamWCases } from './adam-w.ts';
import { attentionCases } from './attention.ts';
import { crossEntropyCases } from './cross-entropy.ts';
import { deltaRuleCases } from './delta-rule.ts';
import { diagonalDecayCases } from './diagonal-decay.ts';
import { diagonalPlusLowRankCases } from './diagonal-plus-low-rank.ts';
import { eideticCases } from './eidetic.ts';
import { embeddingCases } from './embedding.ts';
import { groupedLinearCases } from './grouped-linear.ts';
import { l2NormCases } from './l2-norm.ts';
import { linearityCases } from './linearity.ts';
import { matMulCases } from './mat-mul.ts';
import { normCases } from './norms.ts';
import { rotaryCases } from './rotary.ts';
import { routingCases } from './routing.ts';
import { shortConvCases } from './short-conv.ts';
import { swiGluCases } from './swi-glu.ts';

/** In the order in which they are measured: what matters most comes first. */
export const families = {
  diagonalDecay: diagonalDecayCases,
  deltaRule: deltaRuleCases,
  attention: attentionCases,
  matMul: matMulCases,
  groupedLinear: groupedLinearCases,
  norms: normCases,
  shortConv: shortConvCases,
  diagonalPlusLowRank: diagonalPlusLowRankCases,
  l2Norm: l2NormCases,
  swiGlu: swiGluCases,
  rotary: rotaryCases,
  embedding: embeddingCases,
  crossEntropy: crossEntropyCases,
  adamW: adamWCases,
  routing: routingCases,
  eidetic: eideticCases,
  linearity: linearityCases,
} satisfies Readonly<Record<string, (options: CaseOptions) => readonly KernelCase[]>>;

export type Family = keyof typeof families;
