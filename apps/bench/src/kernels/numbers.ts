// What a measurement says: times, ratios between forms, shares of what the device can do.
import type { DeviceCeilings } from '@mnemix/tensor';
import type { Spread } from '../statistics.ts';
import type { FormName } from './forms.ts';
import type { KernelResult } from './index.ts';
import type { Timing } from './measure.ts';

/** Time on the device, or on the wall where the device has no clock. */
export const deviceTime = ({ device, wall }: Timing): Spread => device ?? wall;

/** How many times as long another form takes as ours, on the device and on the wall. */
export function ratiosTo(
  { forms }: Pick<KernelResult, 'forms'>,
  form: FormName,
): { readonly device: number; readonly wall: number } | undefined {
  const [ours, other] = [forms.ours, forms[form]];
  if (!ours || !other) return undefined;
  return {
    device: deviceTime(other).median / deviceTime(ours).median,
    wall: other.wall.median / ours.wall.median,
  };
}

/** The time that the device needs at least for bytes and operations in float32, over the time that it took. */
export function rooflineShare(
  { forms, cost }: Pick<KernelResult, 'forms' | 'cost'>,
  { bytesPerSecond, flopsPerSecond }: DeviceCeilings,
): number {
  if (!forms.ours) return Number.NaN;
  const least = 1000 * Math.max(cost.bytes / bytesPerSecond, cost.flops / flopsPerSecond);
  return least / deviceTime(forms.ours).median;
}

/** The result that has the other forms: in mixed precision, that of float32. */
export const withForms = (
  result: KernelResult,
  all: readonly KernelResult[],
): Pick<KernelResult, 'forms'> => {
  if (result.precision === 'float32') return result;
  const same = all.find(
    ({ op, shape, pass, precision }) =>
      op === result.op && shape === result.shape && pass === result.pass && precision === 'float32',
  );
  const { portable, naive } = same?.forms ?? {};
  return { forms: { ...result.forms, ...(portable && { portable }), ...(naive && { naive }) } };
};
