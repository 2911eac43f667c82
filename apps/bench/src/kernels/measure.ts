// Measures two forms of the same computation beside each other: time by the device's own clock, time on the wall.
import { deviceMilliseconds, type Tensor } from '@mnemix/tensor';
import { spread, type Spread } from '../statistics.ts';

export interface Timing {
  /** Milliseconds of one run, between the device's own timestamps; absent where it has no clock. */
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
}

export const CAREFUL: MeasureOptions = { rounds: 7, roundMilliseconds: 10, warmUpMilliseconds: 200 };
export const QUICK: MeasureOptions = { rounds: 1, roundMilliseconds: 0, warmUpMilliseconds: 0 };

/**
 * The timings of several forms, measured in turns, so that whatever slows the machine down slows down all.
 *
 * @param forms each makes one tensor
 */
export async function measure<Name extends string>(
  forms: Readonly<Record<Name, () => Tensor>>,
  { rounds, roundMilliseconds, warmUpMilliseconds }: MeasureOptions,
): Promise<Record<Name, Timing>> {
  const entries = Object.entries<() => Tensor>(forms) as [Name, () => Tensor][];
  const repeats = new Map<Name, number>();
  for (const [name, form] of entries) {
    // The first run compiles, and the second may still wait for it.
    for (let i = 0; i < 2; i++) await timeOf(form, 1);
    repeats.set(name, Math.max(1, Math.ceil(roundMilliseconds / (await timeOf(form, 1)).wall)));
  }
  const found = new Map(entries.map(([name]) => [name, [] as RoundTime[]]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, form] of entries) {
      const count = repeats.get(name) as number;
      const until = performance.now() + (round === 0 ? warmUpMilliseconds : warmUpMilliseconds / 10);
      while (performance.now() < until) await timeOf(form, count);
      found.get(name)?.push(await timeOf(form, count));
    }
  }
  return Object.fromEntries(
    entries.map(([name]) => {
      const times = found.get(name) as RoundTime[];
      const device = times.flatMap((time) => time.device ?? []);
      return [
        name,
        { wall: spread(times.map(({ wall }) => wall)), ...(device.length > 0 && { device: spread(device) }) },
      ];
    }),
  ) as Record<Name, Timing>;
}

interface RoundTime {
  readonly wall: number;
  readonly device: number | undefined;
}

/** Of one run, on average over `count` in a row. */
async function timeOf(form: () => Tensor, count: number): Promise<RoundTime> {
  const start = performance.now();
  const device = await deviceMilliseconds(() => {
    for (let i = 0; i < count; i++) form().dispose();
  });
  return { wall: (performance.now() - start) / count, device: device && device / count };
}
