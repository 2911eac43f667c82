// What a device profile says: time by kernel as a table, and a trace to look at.
import type { DeviceProfile, DeviceSpan } from './backend/webgpu-profile.ts';
import type { HostSpan } from './profile.ts';

export interface DeviceKernelTime {
  readonly name: string;
  readonly calls: number;
  /** Of all calls. */
  readonly milliseconds: number;
  /** Of the time of all kernels. */
  readonly share: number;
  /** Of the tensors that it binds. */
  readonly bytesPerSecond: number;
  /** Where the kernel says what it computes. */
  readonly flopsPerSecond?: number;
}

/** The most that a device does, as measured on it. */
export interface DeviceCeilings {
  readonly bytesPerSecond: number;
  readonly flopsPerSecond: number;
}

/** What a table of kernels needs of a span. */
type KernelSpan = Omit<DeviceSpan, 'op' | 'start'>;

/** The time of each kernel on the device, the slowest first. */
export function deviceKernelTimes({
  device,
}: {
  readonly device: readonly KernelSpan[];
}): DeviceKernelTime[] {
  const byName = new Map<string, KernelSpan[]>();
  for (const span of device) byName.set(span.name, [...(byName.get(span.name) ?? []), span]);
  const sum = (spans: readonly KernelSpan[], of: (span: KernelSpan) => number): number =>
    spans.reduce((total, span) => total + of(span), 0);
  const all = sum(device, ({ milliseconds }) => milliseconds);
  const times = Array.from(byName, ([name, spans]) => {
    const milliseconds = sum(spans, (span) => span.milliseconds);
    const perSecond = (amount: number): number => (1000 * amount) / milliseconds;
    return {
      name,
      calls: spans.length,
      milliseconds,
      share: milliseconds / all,
      bytesPerSecond: perSecond(sum(spans, ({ bytes }) => bytes)),
      ...(spans.every(({ flops }) => flops !== undefined) && {
        flopsPerSecond: perSecond(sum(spans, ({ flops = 0 }) => flops)),
      }),
    };
  });
  return times.sort((a, b) => b.milliseconds - a.milliseconds);
}

/** The same as a table in Markdown; with ceilings, rates are also told as shares of them. */
export function formatDeviceKernelTimes(
  times: readonly DeviceKernelTime[],
  ceilings?: DeviceCeilings,
): string {
  const rate = (value: number | undefined, unit: number, most: number | undefined): string => {
    if (value === undefined) return '–';
    const share = most === undefined ? '' : ` (${Math.round((100 * value) / most)} %)`;
    return `${(value / unit).toFixed(value < unit ? 3 : 1)}${share}`;
  };
  const rows = times.map(({ name, calls, milliseconds, share, bytesPerSecond, flopsPerSecond }) =>
    [
      name,
      calls,
      milliseconds.toFixed(3),
      `${(100 * share).toFixed(1)} %`,
      rate(bytesPerSecond, 1e9, ceilings?.bytesPerSecond),
      rate(flopsPerSecond, 1e12, ceilings?.flopsPerSecond),
    ].join(' | '),
  );
  return [
    '| kernel | calls | ms | share | GB/s | TFLOP/s |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows.map((row) => `| ${row} |`),
    '',
  ].join('\n');
}

/** One event of the trace format of Chrome, which Perfetto and `chrome://tracing` open. Times are microseconds. */
export type TraceEvent =
  | {
      readonly ph: 'M';
      readonly name: string;
      readonly pid: number;
      readonly args: { readonly name: string };
    }
  | {
      readonly ph: 'X';
      readonly name: string;
      readonly pid: number;
      readonly tid: number;
      readonly ts: number;
      readonly dur: number;
      readonly args: Readonly<Record<string, string | number>>;
    };

const [HOST, DEVICE] = [1, 2];

/**
 * A trace of a profile, to be written as JSON: one track for what the device ran, one for what the host encoded. The two have clocks
 * of their own and are aligned at their beginnings, no closer.
 */
export function deviceTrace({ device, host }: Pick<DeviceProfile, 'device' | 'host'>): {
  readonly displayTimeUnit: 'ms';
  readonly traceEvents: readonly TraceEvent[];
} {
  const event = (
    pid: number,
    { name, start, milliseconds }: Pick<HostSpan, 'name' | 'start' | 'milliseconds'>,
    args: Readonly<Record<string, string | number>>,
  ): TraceEvent => ({ ph: 'X', name, pid, tid: 1, ts: 1000 * start, dur: 1000 * milliseconds, args });
  return {
    displayTimeUnit: 'ms',
    traceEvents: [
      { ph: 'M', name: 'process_name', pid: HOST, args: { name: 'host: encoding' } },
      { ph: 'M', name: 'process_name', pid: DEVICE, args: { name: 'device' } },
      ...host.map((span) => event(HOST, span, { depth: span.depth })),
      ...device.map((span) =>
        event(DEVICE, span, {
          op: span.op,
          bytes: span.bytes,
          ...(span.flops !== undefined && { flops: span.flops }),
        }),
      ),
    ],
  };
}
