// The queue that coordinators and workers of all machines share: BullMQ on Redis or Valkey. A job is named by its key, so that it is
// there once whoever adds it how often.
import { Queue, type ConnectionOptions } from 'bullmq';
import { UsageError } from './faults.ts';
import type { Job, JobRecord } from './record.ts';

export const QUEUE = 'mnemix-sweep';

export interface QueuedData {
  readonly job: Job;
}

export type SweepQueue = Queue<QueuedData, JobRecord>;

/** A connection that brought nothing for so long is given up for a new one: more than any command may wait. Milliseconds. */
const SILENCE = 30_000;

/** Milliseconds for a first connection: a server may start along with those who use it. */
const PATIENCE = 20_000;

/** Once there was a connection, a server that is gone is waited for. */
export const connectionOf = (url: string): ConnectionOptions => ({
  url,
  maxRetriesPerRequest: null,
  socketTimeout: SILENCE,
  retryStrategy: (times) => Math.min(100 * 2 ** times, 2000),
});

/**
 * Connects to the queue.
 *
 * @throws UsageError where the URL is none, or no server answers in time
 */
export async function openQueue(url: string, patience = PATIENCE): Promise<SweepQueue> {
  checkUrl(url);
  const queue: SweepQueue = new Queue(QUEUE, { connection: connectionOf(url) });
  let reason = 'nobody answers';
  // Without a listener an error would end the process; the connection comes back by itself.
  queue.on('error', ({ message }) => (reason = message));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('late')), patience);
  });
  try {
    await Promise.race([queue.waitUntilReady(), late]);
    return queue;
  } catch {
    await queue.close();
    throw new UsageError([
      {
        where: `--queue ${url}`,
        message: `there is no connection: ${reason}.`,
        fix: 'Start a Redis or Valkey server there, and check host, port and password.',
      },
    ]);
  } finally {
    clearTimeout(timer);
  }
}

/** Tells of what goes wrong with a connection, once for as long as it stays the same: a server that is gone is tried every other moment. */
export function troubleTeller(tell: ((message: string) => void) | undefined): (error: unknown) => void {
  let last = '';
  return (error) => {
    const message = error instanceof Error ? error.message : String(error);
    if (message !== last) tell?.(message);
    last = message;
  };
}

function checkUrl(url: string): void {
  if (URL.canParse(url) && ['redis:', 'rediss:'].includes(new URL(url).protocol)) return;
  throw new UsageError([
    {
      where: `--queue ${url}`,
      message: 'is no address of a server.',
      fix: 'Write e.g. redis://localhost:6379, or rediss:// for TLS.',
    },
  ]);
}
