/* The job that the stage beside the form shows. */
import { effect, signal } from '@preact/signals';
import { recall, remember } from '../storage';
import { ApiError } from '../api';
import { isActive, isWaiting } from './job_kind';
import { isLoaded, jobOf, loadJob, queueIds } from './jobs';
import { complain } from './messages';

export const stageId = signal<string | null>(recall<string | null>('stage', null));

/* A new job comes on the stage unless another one is on its way there. */
export function offer(id: string): void {
    const job = jobOf(stageId.peek())?.peek();
    if (!job || !(isActive(job.state) || isWaiting(job.state)))
        stageId.value = id;
}

export function startStage(): void {
    effect(() => remember('stage', stageId.value));
    effect(() => {
        if (!isLoaded.value)
            return;
        const id = stageId.value;
        const first = queueIds.value[0];
        if (id === null && first)
            stageId.value = first;
        else if (id !== null && !jobOf(id))
            loadJob(id).catch((e: unknown) => {
                if (e instanceof ApiError && e.status === 404)
                    stageId.value = null;
                else
                    complain(e);
            });
    });
}
