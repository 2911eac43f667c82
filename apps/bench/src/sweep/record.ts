// What a sweep consists of, as plain data: a job says everything that its outcome depends on, a record is a job with its outcome. The
// engine runs jobs, the report reads records, and neither knows more of the other.
import type { LmConfig } from '@mnemix/lm';
import type { TaskSpec } from '@mnemix/tasks';

/** One training, judged. Equal jobs have equal keys: the hash of this and nothing else. */
export interface Job {
  /** What the sweep calls the model, e.g. `mom gated_delta_net`: one point of a figure for each size. */
  readonly model: string;
  /** The line of the figure that its sizes make up. */
  readonly family: string;
  /** The size's name, e.g. `64`. */
  readonly size: string;
  readonly lm: LmConfig;
  /** What the sweep calls the task, e.g. `64 tokens, 8 pairs`: a panel of the figure for each. */
  readonly setting: string;
  readonly task: TaskSpec;
  /** Judged on each of these (default: on the task's own test split). Name → task. */
  readonly tests?: Readonly<Record<string, TaskSpec>>;
  readonly training: JobTraining;
  readonly seed: number;
  readonly backend: 'wasm' | 'cpu' | 'webgpu' | 'webgpu-software';
}

export interface JobTraining {
  /** Sequences of a step. */
  readonly batch: number;
  /** At most. */
  readonly steps: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Gradients are clipped to this global norm; `null`: never. */
  readonly clipNorm: number | null;
  readonly schedule: 'cosine' | 'constant';
  readonly warmupSteps: number;
  /** Share of the learning rate that is left after the last step (cosine). */
  readonly finalRatio: number;
  /** Judged after every so many steps, and at the end. */
  readonly evaluateEvery: number;
  /** Sequences of each test. */
  readonly testSequences: number;
  /** Training ends once the accuracy is above this. */
  readonly stopAt: number;
}

export interface CurvePoint {
  readonly step: number;
  /** Mean cross-entropy of the training batches since the last point, in nats. */
  readonly loss: number;
  /** Mean over the tests. */
  readonly accuracy: number;
}

/** What the router of one Mixture-of-Memories layer did. Shares are of the choices of tokens, and add up to 1. */
export interface LayerRouting {
  readonly layer: number;
  readonly memories: number;
  readonly topK: number;
  readonly load: readonly { readonly step: number; readonly shares: readonly number[] }[];
  /** Of one test sequence: its token ids, and the memories that each token went to, the strongest first. */
  readonly example: { readonly ids: readonly number[]; readonly chosen: readonly (readonly number[])[] };
  /** Share of the distinct tokens of memory i that memory j has been sent too, [memories][memories]. */
  readonly overlap: readonly (readonly number[])[];
}

export interface Done {
  readonly status: 'done';
  /** By test. */
  readonly accuracies: Readonly<Record<string, number>>;
  /** Their mean, of the best evaluation. */
  readonly accuracy: number;
  /** Steps until the best evaluation. */
  readonly steps: number;
  readonly curve: readonly CurvePoint[];
  /** Of one sequence, float32. */
  readonly stateBytes: number;
  readonly parameters: number;
  /** Those that take part in one token's result. */
  readonly activatedParameters: number;
  readonly seconds: number;
  readonly routing?: readonly LayerRouting[];
}

/** A training that came to nothing; it does not stop the sweep. */
export interface Failed {
  /** `diverged`: the loss was no number, or without bound. `failed`: anything else, a worker process that crashed among it. */
  readonly status: 'diverged' | 'failed';
  readonly cause: { readonly code: string; readonly where?: string; readonly message: string };
  readonly curve: readonly CurvePoint[];
  readonly seconds: number;
}

export type Outcome = Done | Failed;

/** One line of a result file. */
export interface JobRecord {
  /** Hash of the job. */
  readonly key: string;
  readonly job: Job;
  readonly outcome: Outcome;
  /** Versions and machine, for whoever compares. */
  readonly environment: Readonly<Record<string, string>>;
  /** ISO 8601. */
  readonly finished: string;
}
