/* What a job's state means for lists and buttons. */
import type { Job, JobState } from '../types';
import { modelOf } from './models';

const ACTIVE: readonly JobState[] = ['planning', 'loading', 'encoding', 'sampling', 'decoding', 'saving'];

export const isActive = (s: JobState) => ACTIVE.includes(s);
export const isWaiting = (s: JobState) => s === 'queued' || s === 'interrupted';
export const isFinal = (s: JobState) => s === 'completed' || s === 'failed' || s === 'cancelled';

export function stateText(job: Job): string {
    if (job.wish === 'cancel')
        return 'Cancelling';
    if (job.wish === 'pause')
        return 'Pausing';
    const names: Record<JobState, string> = {
        queued: 'Waiting', planning: 'Planning', loading: 'Loading weights', encoding: 'Reading the prompt',
        sampling: 'Sampling', decoding: 'Decoding frames', saving: 'Saving', completed: 'Completed',
        failed: 'Failed', cancelled: 'Cancelled', interrupted: 'Waiting to go on', paused: 'Paused',
    };
    return names[job.state] ?? job.state;
}

/* The part of the job that is done, 0 to 1, as far as its present phase can tell; null: not countable. */
export function share(job: Job): number | null {
    const p = job.progress;
    return p && p.total > 0 ? Math.min(1, Math.max(0, p.done / p.total)) : null;
}

export function promptOf(job: Job): string {
    const prompt = job.request['prompt'];
    return typeof prompt === 'string' ? prompt : '';
}

/* The request with everything that was filled in, when that is known. */
export function wholeRequest(job: Job): Job['request'] {
    return { ...job.plan?.request, ...job.result?.request, ...job.request };
}

/* Before the job is done, what its model makes where the request says nothing. */
export function sizeOf(job: Job): { width: number; height: number } | null {
    const { width, height } = {
        ...modelOf(job.model)?.defaults, ...job.plan?.request, ...job.request, ...job.result?.request,
    };
    return typeof width === 'number' && typeof height === 'number' && width > 0 && height > 0
        ? { width, height }
        : null;
}
