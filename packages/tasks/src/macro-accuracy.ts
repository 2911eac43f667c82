// The accuracy that MAD reports: the mean over classes, not over labels.
import { checkConfig } from '@mnemix/tensor';
import { IGNORE } from './task.ts';

/**
 * Mean over classes of the share of their labels that were predicted. A class that was predicted but never asked for
 * counts as 0; one that was neither is left out. This is what torchmetrics calls macro-averaged multiclass accuracy.
 *
 * @param predicted a token for each position [n]; those of positions without a label do not matter
 * @param targets a token or {@link IGNORE} for each position [n]
 * @returns NaN where there is no label
 * @throws MnemixError `config` where the lengths differ
 */
export function macroAccuracy(predicted: ArrayLike<number>, targets: ArrayLike<number>): number {
  checkConfig(
    predicted.length === targets.length,
    'macroAccuracy(predicted)',
    `${predicted.length} predictions for ${targets.length} targets.`,
    'Pass one prediction for each target.',
  );
  const classes = new Map<number, { asked: number; right: number }>();
  const classOf = (token: number): { asked: number; right: number } => {
    const counts = classes.get(token) ?? { asked: 0, right: 0 };
    classes.set(token, counts);
    return counts;
  };
  for (let i = 0; i < targets.length; i++) {
    const target = targets[i] as number;
    if (target === IGNORE) continue;
    const prediction = predicted[i] as number;
    const counts = classOf(target);
    counts.asked++;
    if (prediction === target) counts.right++;
    else classOf(prediction);
  }
  let sum = 0;
  for (const { asked, right } of classes.values()) sum += asked === 0 ? 0 : right / asked;
  return sum / classes.size;
}
