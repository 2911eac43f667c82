// Measures forms of the same computation beside each other: on the device's own clock, replayed without JavaScript in between, and on
// the wall, with it.
import {
  deviceKernelTimes,
  deviceMilliseconds,
  recordDevice,
  type DeviceKernelTime,
  type DeviceReplay,
} from '@mnemix/tensor';
import { spread, type Spread } from '../statistics.ts';

export interface Timing {
  /** Milliseconds of the device for one run, gaps between dispatches included; absent where the device has no clock. */
  readonly device?: Spread;
  /** How many dispatches a run has. */
  readonly dispatches?: number;
  /** Where the device's time goes, of a form for which that was asked. */
  readonly kernels?: readonly DeviceKernelTime[];
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

/** JavaScript is warm long before a device's clock is. */
const WALL_WARM_UP = 0.25;

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
 * @param profiled the form whose kernels are timed too: a form of thousands of dispatches would take long
 */
export async function measure<Name extends string>(
  forms: Readonly<Partial<Record<Name, () => void>>>,
  profiled: Name,
  options: MeasureOptions,
): Promise<Partial<Record<Name, Timing>>> {
  const walls = await inTurns(
    mapForms(forms, (form) => (count: number) => wallOf(form, count)),
    { ...options, warmUpMilliseconds: WALL_WARM_UP * options.warmUpMilliseconds },
  );
  if ((await deviceMilliseconds(() => {})) === undefined) return mapForms(walls, (wall) => ({ wall }));
  const replays = new Map<Name, DeviceReplay>();
  try {
    for (const [name, form] of entriesOf(forms)) replays.set(name, await recordDevice(form));
    const replayed = Object.fromEntries(replays) as Partial<Record<Name, DeviceReplay>>;
    const devices = await inTurns(
      mapForms(replayed, ({ time }) => time),
      options,
    );
    const timings: Partial<Record<Name, Timing>> = {};
    for (const [name, { dispatches, profile }] of replays) {
      const [wall, device] = [walls[name] as Spread, devices[name] as Spread];
      timings[name] = {
        wall,
        device,
        dispatches: dispatches.length,
        ...(name === profiled && {
          kernels: deviceKernelTimes({ device: await profile(options.rounds) }),
        }),
      };
    }
    return timings;
  } finally {
    for (const replay of replays.values()) replay.dispose();
  }
}

/** Milliseconds of one run, on average over `count` in a row. */
type Clock = (count: number) => Promise<number>;

async function inTurns<Name extends string>(
  clocks: Readonly<Partial<Record<Name, Clock>>>,
  { rounds, roundMilliseconds, warmUpMilliseconds, mostMilliseconds }: MeasureOptions,
): Promise<Partial<Record<Name, Spread>>> {
  const states = [];
  for (const [name, clock] of entriesOf(clocks)) {
    const once = await clock(1);
    const repeats = Math.max(1, Math.ceil(roundMilliseconds / once));
    const most = Math.max(1, Math.min(rounds, Math.floor(mostMilliseconds / (repeats * once))));
    states.push({ name, clock, repeats, most, times: [] as number[] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const [i, { clock, repeats, most, times }] of states.entries()) {
      if (round >= most) continue;
      // A device that has waited is slow at first; in turns they keep it awake for one another.
      const until = performance.now() + (round + i === 0 ? warmUpMilliseconds : warmUpMilliseconds / 10);
      while (performance.now() < until) await clock(repeats);
      times.push(await clock(repeats));
    }
  }
  return Object.fromEntries(states.map(({ name, times }) => [name, spread(times)])) as Partial<
    Record<Name, Spread>
  >;
}

async function wallOf(form: () => void, count: number): Promise<number> {
  const start = performance.now();
  await deviceMilliseconds(() => {
    for (let i = 0; i < count; i++) form();
  });
  return (performance.now() - start) / count;
}

const entriesOf = <Name extends string, T>(forms: Readonly<Partial<Record<Name, T>>>): [Name, T][] =>
  (Object.entries(forms) as [Name, T | undefined][]).filter(
    (entry): entry is [Name, T] => entry[1] !== undefined,
  );

const mapForms = <Name extends string, T, U>(
  forms: Readonly<Partial<Record<Name, T>>>,
  make: (form: T) => U,
): Partial<Record<Name, U>> =>
  Object.fromEntries(entriesOf(forms).map(([name, form]) => [name, make(form)])) as Partial<Record<Name, U>>;
