/* What a user can do with a job. */
import { call, post } from '../api';
import type { Job, QueueReply, VideoRequest } from '../types';
import { accept, counts, forget, isHeld, moment, reloadQueueSoon } from './jobs';
import { attempt, say } from './messages';

async function change(method: string, path: string, body: unknown): Promise<Job> {
    const asked = moment();
    return accept(await call<Job>(method, path, body), asked);
}

export type Verb = 'cancel' | 'pause' | 'resume' | 'retry';

export function act(id: string, verb: Verb): Promise<boolean> {
    return attempt(() => change('POST', `/api/v1/jobs/${id}/${verb}`, {}));
}

export function duplicate(id: string): Promise<boolean> {
    return attempt(async () => {
        await change('POST', `/api/v1/jobs/${id}/duplicate`, {});
        say('The same request is in the queue again.');
    });
}

export function submit(request: VideoRequest): Promise<Job> {
    return change('POST', '/api/v1/jobs', request);
}

export interface Edit {
    request?: VideoRequest;
    priority?: number;
    before?: string; /* "": the end of the line */
}

export function edit(id: string, what: Edit): Promise<Job> {
    return change('PATCH', `/api/v1/jobs/${id}`, what);
}

export function move(id: string, what: Edit): Promise<boolean> {
    return attempt(() => edit(id, what));
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
