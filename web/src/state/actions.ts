/* What a user can do with a job. */
import { call, post } from '../api';
import type { Job, VideoRequest } from '../types';
import { accept, forget, isHeld, counts, reloadQueueSoon } from './jobs';
import { attempt, say } from './messages';
import type { QueueReply } from '../types';

export type Verb = 'cancel' | 'pause' | 'resume' | 'retry';

export function act(id: string, verb: Verb): Promise<boolean> {
    return attempt(async () => accept(await post<Job>(`/api/v1/jobs/${id}/${verb}`)));
}

export function duplicate(id: string): Promise<boolean> {
    return attempt(async () => {
        accept(await post<Job>(`/api/v1/jobs/${id}/duplicate`));
        say('The same request is in the queue again.');
    });
}

export async function submit(request: VideoRequest): Promise<Job> {
    return accept(await post<Job>('/api/v1/jobs', request));
}

export interface Edit {
    request?: VideoRequest;
    priority?: number;
    before?: string; /* "": the end of the line */
}

export async function edit(id: string, change: Edit): Promise<Job> {
    return accept(await call<Job>('PATCH', `/api/v1/jobs/${id}`, change));
}

export function move(id: string, change: Edit): Promise<boolean> {
    return attempt(() => edit(id, change));
}

export function remove(id: string): Promise<boolean> {
    return attempt(async () => {
        await call('DELETE', `/api/v1/jobs/${id}`);
        forget(id);
        reloadQueueSoon();
    });
}

/* Whether new jobs are begun. */
export function hold(isToHold: boolean): Promise<boolean> {
    return attempt(async () => {
        const reply = await post<QueueReply>(`/api/v1/queue/${isToHold ? 'pause' : 'resume'}`);
        isHeld.value = reply.paused;
        counts.value = reply.counts;
    });
}
