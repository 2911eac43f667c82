// Speed and error of the WebGPU kernels, beside what the same computation costs without them, in the same run.
import { measureCeilings } from '@mnemix/kernels';
import {
  assertBackendHealthy,
  closeBackend,
  disposeTree,
  div,
  openBackend,
  profileDevice,
  sqrt,
  square,
  stack,
  sub,
  sum,
  tidy,
  type BackendReport,
  type DeviceCeilings,
  type DeviceProfile,
  type Precision,
  type Tensor,
} from '@mnemix/tensor';
import type { Cost, Inputs, KernelCase, Prepared } from './case.ts';
import { families, type Family } from './cases/index.ts';
import { noiseTensor } from './data.ts';
import { formsOf, runnerOf, type Form, type FormName, type Pass } from './forms.ts';
import type { Spread } from '../statistics.ts';
import { CAREFUL, measure, QUICK, type Timing } from './measure.ts';

export { formatKernels } from './format.ts';

export interface FormTiming extends Timing {
  /** Measured on this part of the tokens: times are those of the whole, by multiplication. */
  readonly scale?: number;
}

export interface KernelResult extends Pick<KernelCase, 'family' | 'op' | 'shape'> {
  readonly precision: Precision;
  /** `training`: forward and backward. */
  readonly pass: Pass;
  readonly isMain: boolean;
  /** Mixed precision has only ours: the others are the same as in float32. */
  readonly forms: Readonly<Partial<Record<FormName, FormTiming>>>;
  /** Forms that could not be run, and why. */
  readonly failures: Readonly<Partial<Record<FormName, string>>>;
  readonly cost: Cost;
  /** Of ours, of the result or of the worst gradient: relative RMS of a sample of entries against float64. */
  readonly error?: number;
  /** The largest relative RMS difference of a gradient of ours from that of the portable form. */
  readonly gradientDifference?: number;
}

export interface KernelsResult {
  /** What was typed. */
  readonly command: string;
  readonly node: string;
  readonly backend: BackendReport;
  readonly quick: boolean;
  readonly ceilings: DeviceCeilings;
  /** What could not be measured, and why. */
  readonly left: readonly { readonly variant: string; readonly reason: string }[];
  readonly results: readonly KernelResult[];
}

export interface KernelsOptions {
  readonly command: string;
  readonly backend: 'webgpu' | 'webgpu-software';
  /** Tiny shapes, once: whether it works, not how fast it is. */
  readonly quick: boolean;
  /** Default: all. */
  readonly only?: readonly Family[] | undefined;
  /** Those alone that have this in their op or shape. */
  readonly matching?: string | undefined;
  /** Default: both. */
  readonly precisions?: readonly Precision[] | undefined;
  /** Without the other forms. */
  readonly alone?: boolean | undefined;
  /** Told after each result, with all so far: a run that is cut off loses little. */
  readonly onResult?: (result: KernelResult, all: KernelsResult) => void | Promise<void>;
  /** Told one profile of each case of ours: for a trace. */
  readonly onProfile?: (name: string, profile: DeviceProfile) => void;
}

/** @throws MnemixError `backend` without WebGPU */
export async function benchKernels(options: KernelsOptions): Promise<KernelsResult> {
  const { command, backend, quick, only, matching = '', alone, onResult } = options;
  const { precisions = ['float32', 'mixed'] } = options;
  const chosen = (Object.keys(families) as Family[]).filter((family) => only?.includes(family) ?? true);
  const cases = chosen
    .flatMap((family) => families[family]({ quick }))
    .filter(({ op, shape }) => `${op} ${shape}`.includes(matching))
    .map((each) => (alone ? { ...each, isAlone: true } : each));
  const results: KernelResult[] = [];
  const left: { variant: string; reason: string }[] = [];
  await closeBackend();
  const report = await openBackend(backend);
  const ceilings = await measureCeilings();
  const all = (): KernelsResult => ({
    command,
    node: process.version,
    backend: report,
    quick,
    ceilings,
    left,
    results,
  });
  for (const precision of precisions) {
    const open = async (): Promise<BackendReport> => {
      await closeBackend();
      return openBackend(backend, { precision });
    };
    const { precision: granted, rejected } = await open();
    if (granted !== precision) {
      left.push({ variant: precision, reason: rejected.map(({ reason }) => reason).join('; ') });
      continue;
    }
    for (const each of cases.filter(({ precisions }) => precisions.includes(precision))) {
      try {
        for (const result of await runCase(each, precision, { ...options, open })) {
          results.push(result);
          await onResult?.(result, all());
        }
      } catch (error) {
        // One case is no reason to lose the others.
        left.push({ variant: `${each.op} ${each.shape}, ${precision}`, reason: reasonOf(error) });
        await open();
      }
    }
  }
  return all();
}

interface CaseSurroundings extends KernelsOptions {
  /** Opens the backend anew, after a failure. */
  readonly open: () => Promise<unknown>;
}

async function runCase(
  each: KernelCase,
  precision: Precision,
  surroundings: CaseSurroundings,
): Promise<KernelResult[]> {
  const failures: Record<Pass, Partial<Record<FormName, string>>> = { forward: {}, training: {} };
  // A form that fails may take the device with it; the others then start again on a fresh one, without it.
  for (;;) {
    const failed = await attempt(each, precision, surroundings, failures);
    if (Array.isArray(failed)) return failed;
    failures[failed.pass][failed.form] = failed.reason;
    await surroundings.open();
  }
}

interface Failure {
  readonly pass: Pass;
  readonly form: FormName;
  readonly reason: string;
}

async function attempt(
  each: KernelCase,
  precision: Precision,
  { quick, onProfile }: CaseSurroundings,
  failures: Readonly<Record<Pass, Readonly<Partial<Record<FormName, string>>>>>,
): Promise<KernelResult[] | Failure> {
  const { family, op, shape, isMain = false, isAlone = false } = each;
  const prepared = each.prepare();
  const upstreams: Record<string, Tensor> = {};
  const forms = formsOf(prepared, (name, shapeOfY) => (upstreams[name] ??= noiseTensor(99, shapeOfY)));
  const results: KernelResult[] = [];
  try {
    for (const pass of ['forward', 'training'] as const) {
      const cost = prepared.cost[pass];
      if (!cost) continue;
      const names = (Object.keys(forms) as FormName[]).filter(
        (name) => (name === 'ours' || (!isAlone && precision === 'float32')) && !failures[pass][name],
      );
      for (const name of names) {
        const reason = await failureOf(runnerOf(forms[name] as Form, pass));
        if (reason !== undefined) return { pass, form: name, reason };
      }
      const runners = Object.fromEntries(
        names.map((name) => [name, runnerOf(forms[name] as Form, pass)]),
      ) as Partial<Record<FormName, () => void>>;
      const timings = await measure<FormName>(runners, 'ours', quick ? QUICK : CAREFUL);
      if (onProfile && runners.ours && timings.ours?.device) {
        onProfile(`${op} ${shape} ${precision} ${pass}`, await profileDevice(runners.ours));
      }
      const checks = runners.ours ? await check(pass, prepared, forms, upstreams, isAlone) : {};
      results.push({
        family,
        op,
        shape,
        precision,
        pass,
        isMain,
        forms: Object.fromEntries(
          names.map((name) => [name, scaled(timings[name] as Timing, (forms[name] as Form).scale)]),
        ),
        failures: failures[pass],
        cost,
        ...checks,
      });
    }
    return results;
  } finally {
    prepared.dispose();
    disposeTree(upstreams);
  }
}

/** Why a form cannot be run; the first run also compiles. */
async function failureOf(run: () => void): Promise<string | undefined> {
  try {
    for (let i = 0; i < 2; i++) {
      run();
      await settled();
    }
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Waits for the device, and throws what it has reported by then. */
async function settled(): Promise<void> {
  const probe = tidy(() => sum(noiseTensor(1, [4])));
  await probe.data();
  probe.dispose();
  assertBackendHealthy();
}

function scaled({ device, wall, dispatches, kernels }: Timing, scale: number): FormTiming {
  const times = ({ median, min, max }: Spread): Spread => ({
    median: median * scale,
    min: min * scale,
    max: max * scale,
  });
  return {
    wall: times(wall),
    ...(device && { device: times(device) }),
    ...(dispatches !== undefined && { dispatches: Math.round(dispatches * scale) }),
    // A part of the tokens says nothing of the kernels of the whole.
    ...(kernels && scale === 1 && { kernels }),
    ...(scale !== 1 && { scale }),
  };
}

async function check(
  pass: Pass,
  { errorOf, gradientErrorOf }: Prepared,
  { ours, portable }: Partial<Record<FormName, Form>>,
  upstreams: Readonly<Record<string, Tensor>>,
  isAlone: boolean,
): Promise<Pick<KernelResult, 'error' | 'gradientDifference'>> {
  if (pass === 'forward') {
    const y = (ours as Form).forward();
    const error = errorOf(await y.data());
    y.dispose();
    return Number.isNaN(error) && isAlone ? {} : { error };
  }
  if (gradientErrorOf) {
    const found = (ours as Form).gradients();
    const values = await Promise.all(
      Object.entries(found).map(async ([name, gradient]) => [name, await gradient.data()] as const),
    );
    disposeTree(found);
    const upstream = await (upstreams.whole as Tensor).data();
    return { error: gradientErrorOf(Object.fromEntries(values), upstream) };
  }
  if (isAlone) return {};
  try {
    const found = (ours as Form).gradients();
    const wanted = (portable as Form).gradients();
    const differences = tidy(() => differencesOf(found, wanted));
    const values = await differences.data();
    disposeTree([found, wanted, differences]);
    return { gradientDifference: Math.max(...values) };
  } catch {
    // The portable form may be too large for the device; it is told among the failures.
    return {};
  }
}

/** ‖found − wanted‖ / ‖wanted‖ of each tensor. */
const differencesOf = (found: Inputs, wanted: Inputs): Tensor =>
  stack(
    Object.keys(found).map((name) => {
      const [x, y] = [found[name] as Tensor, wanted[name] as Tensor];
      return sqrt(div(sum(square(sub(x, y))), sum(square(y))));
    }),
  );
