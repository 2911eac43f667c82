// Measures forms of the same computation beside each other: time of their kernels and from first to last on the device's own clock,
// and time on the wall.
import { deviceMilliseconds, profileDevice, type DeviceProfile } from '@mnemix/tensor';
import { spread, type Spread } from '../statistics.ts';

export interface Timing {
  /** Milliseconds of all dispatches of one run, without what lies between them; absent where the device has no clock. */
  readonly kernels?: Spread;
  /** How many dispatches those were. */
  readonly dispatches?: number;
  /** Milliseconds of one run between the device's own timestamps, of many in a row; gaps included. */
  readonly device?: Spread;
  /** Milliseconds of one run, from the first command to the last result, of many in a row. */
  readonly wall: Spread;
}

export interface MeasureOptions {
  /** Rounds of each form, of which the median is taken. */
  readonly rounds: number;
  /** What a round should last, so that the clock's grain and the gaps at its ends do not matter. */
  readonly roundMilliseconds: number;
  /** Devices clock themselves down when idle, and take this long under load to be fast again. */
  readonly warmUpMilliseconds: number;
  /** All rounds of one form; slow forms get fewer, but one. */
  readonly mostMilliseconds: number;
}

export const CAREFUL: MeasureOptions = {
  rounds: 7,
  roundMilliseconds: 10,
  warmUpMilliseconds: 200,
  mostMilliseconds: 400,
};
export const QUICK: MeasureOptions = {
  rounds: 1,
  roundMilliseconds: 0,
  warmUpMilliseconds: 0,
  mostMilliseconds: 0,
};

/**
 * The timings of several forms, measured in turns, so that whatever slows the machine down slows down all.
 *
 * @param forms each frees what it makes; they have run before, so that nothing is compiled any more
 */
export async function measure<Name extends string>(
  forms: Readonly<Partial<Record<Name, () => void>>>,
  { rounds, roundMilliseconds, warmUpMilliseconds, mostMilliseconds }: MeasureOptions,
): Promise<Partial<Record<Name, Timing>>> {
  const states = [];
  for (const [name, form] of Object.entries<(() => void) | undefined>(forms)) {
    if (!form) continue;
    const { wall } = await timeOf(form, 1);
    const repeats = Math.max(1, Math.ceil(roundMilliseconds / wall));
    const most = Math.max(1, Math.min(rounds, Math.floor(mostMilliseconds / (repeats * wall))));
    states.push({
      name: name as Name,
      form,
      repeats,
      most,
      times: [] as RoundTime[],
      kernels: [] as Kernels[],
    });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { form, repeats, most, times } of states) {
      if (round >= most) continue;
      await loadFor(form, repeats, round === 0 ? warmUpMilliseconds : warmUpMilliseconds / 10);
      times.push(await timeOf(form, repeats));
    }
  }
  for (const { form, repeats, most, kernels } of states) {
    for (let round = 0; round < Math.min(5, most); round++) {
      // The form before may have left the device waiting, and slow.
      await loadFor(form, repeats, round === 0 ? warmUpMilliseconds : warmUpMilliseconds / 10);
      const found = await kernelsOf(form);
      if (found) kernels.push(found);
    }
  }
  return Object.fromEntries(
    states.map(({ name, times, kernels }) => {
      const device = times.flatMap((time) => time.device ?? []);
      const timing: Timing = {
        wall: spread(times.map(({ wall }) => wall)),
        ...(device.length > 0 && { device: spread(device) }),
        ...(kernels.length > 0 && {
          kernels: spread(kernels.map(({ milliseconds }) => milliseconds)),
          dispatches: (kernels[0] as Kernels).dispatches,
        }),
      };
      return [name, timing];
    }),
  ) as Partial<Record<Name, Timing>>;
}

/** Keeps the device busy, so that it clocks itself up. */
async function loadFor(form: () => void, repeats: number, milliseconds: number): Promise<void> {
  const until = performance.now() + milliseconds;
  while (performance.now() < until) await timeOf(form, repeats);
}

interface RoundTime {
  readonly wall: number;
  readonly device: number | undefined;
}

/** Of one run, on average over `count` in a row. */
async function timeOf(form: () => void, count: number): Promise<RoundTime> {
  const start = performance.now();
  const device = await deviceMilliseconds(() => {
    for (let i = 0; i < count; i++) form();
  });
  return { wall: (performance.now() - start) / count, device: device && device / count };
}

interface Kernels {
  readonly milliseconds: number;
  readonly dispatches: number;
}

/** Of a profile. */
export const kernelMilliseconds = ({ device }: Pick<DeviceProfile, 'device'>): number =>
  device.reduce((sum, { milliseconds }) => sum + milliseconds, 0);

async function kernelsOf(form: () => void): Promise<Kernels | undefined> {
  if ((await deviceMilliseconds(() => {})) === undefined) return undefined;
  const profile = await profileDevice(form);
  return { milliseconds: kernelMilliseconds(profile), dispatches: profile.device.length };
}
