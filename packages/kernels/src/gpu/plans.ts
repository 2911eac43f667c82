// Plans that have been made, kept by what they were made for: a model asks for the same ones in every step, and to make one takes
// longer than to record it.
import { checkTensorFits, MnemixError, sizeOf, type TensorInfo } from '@mnemix/tensor';
import { obstacleTo } from './fallback.ts';
import type { GpuDispatch, GpuPlan } from './kernel.ts';
import { pipelineOf, type Compiled } from './pipelines.ts';

/** A dispatch, and what it needs of the device, which is found at its first use. */
export interface Step extends GpuDispatch {
  compiled?: Compiled;
  uniformBinding?: GPUBufferBinding;
  /** Of uniforms that change: what was written last, and the recording that was the last to use it. */
  written?: readonly number[];
  recording?: object | null;
}

export const hasUniforms = ({ uniforms, uniformsOfCall }: GpuDispatch): boolean =>
  uniforms !== undefined || uniformsOfCall !== undefined;

/** A plan that has been looked at; or why there is none, if there is anything to tell. */
export type Prepared =
  | { readonly plan: GpuPlan; readonly steps: readonly Step[] }
  | { readonly plan?: undefined; readonly obstacle: string | undefined };

type Shapes = readonly (readonly [name: string, info: TensorInfo])[];

/**
 * Asks for a plan and sees whether the device can do it.
 *
 * @throws MnemixError `backend` for an input or output beyond what the device holds
 */
export function prepare(
  device: GPUDevice,
  op: string,
  given: Shapes,
  makePlan: () => GpuPlan | string | undefined,
): Prepared {
  // They cannot be bound.
  if (given.some(([, { shape }]) => sizeOf(shape) === 0)) return { obstacle: undefined };
  const plan = makePlan();
  const obstacle = typeof plan === 'object' ? obstacleTo(plan, device) : plan;
  if (typeof plan !== 'object' || obstacle !== undefined) return { obstacle };
  for (const [name, { shape }] of [...given, ...Object.entries(plan.outputs)]) {
    checkTensorFits(device, op, name, shape);
  }
  checkNames(op, given, plan);
  return { plan, steps: plan.dispatches.map((dispatch) => ({ ...dispatch })) };
}

/** A dispatch knows tensors by their names: what is made under the name of an input would be read in its place. */
function checkNames(op: string, given: Shapes, { outputs, scratch }: GpuPlan): void {
  const inputs = new Set(given.map(([name]) => name));
  const name = Object.keys({ ...outputs, ...scratch }).find((made) => inputs.has(made));
  if (name === undefined) return;
  throw new MnemixError({
    code: 'kernel',
    where: op,
    message: `its plan for WebGPU makes a tensor ${name}, and that is the name of an input.`,
    fix: 'Give it a name of its own in the plan.',
  });
}

/** The pipelines of all steps, before anything is dispatched: one that is known to be invalid throws. */
export function compileSteps(device: GPUDevice, steps: readonly Step[], describeUse: () => string): void {
  for (const step of steps) {
    step.compiled ??= pipelineOf(device, step.kernel, hasUniforms(step), describeUse);
  }
}

/** Of one op. Shapes that grow with every call would otherwise leave a plan behind each time. */
const MOST_KEPT = 256;

const kept = new WeakMap<GPUDevice, WeakMap<object, Map<string, Prepared>>>();

/** What `make` made for this key before, or makes now. `owner` is what the key is unique for. */
export function keptPlan(device: GPUDevice, owner: object, key: string, make: () => Prepared): Prepared {
  let owners = kept.get(device);
  if (!owners) kept.set(device, (owners = new WeakMap<object, Map<string, Prepared>>()));
  let plans = owners.get(owner);
  if (!plans) owners.set(owner, (plans = new Map<string, Prepared>()));
  const known = plans.get(key);
  if (known) plans.delete(key);
  const prepared = known ?? make();
  // Last in the order: used most recently.
  plans.set(key, prepared);
  if (plans.size > MOST_KEPT) plans.delete(plans.keys().next().value as string);
  return prepared;
}

/** Names and shapes of the inputs, and the attributes, which are plain data. */
export function planKey(given: Shapes, attrs: unknown): string {
  let key = '';
  for (const [name, { shape }] of given) key += `${name} ${shape.join()};`;
  return key + JSON.stringify(attrs, exactly);
}

/** JSON has no infinities, no NaN and no −0. */
const exactly = (_: string, value: unknown): unknown =>
  typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))
    ? `number ${Object.is(value, -0) ? '-0' : value}`
    : value;
