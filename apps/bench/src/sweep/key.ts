// The name of a job in result files and queues.
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Job } from './record.ts';

/** SHA-256 of the job as canonical JSON (RFC 8785), in hexadecimal: the same for equal jobs, whatever the order of their keys. */
export const keyOf = (job: Job): string =>
  createHash('sha256')
    .update(canonicalize(job) as string)
    .digest('hex');
