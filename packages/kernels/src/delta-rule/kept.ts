// What the delta rule keeps for its gradient.
import { keptNames, type Kept } from '../portable/kept.ts';

/** Also `a`, the recall keys of gpu/scan/low-rank. */
export const deltaRuleKept = [...keptNames, 'a'] as const;

export type DeltaRuleKept = Kept<(typeof deltaRuleKept)[number]>;
