/* The jobs this page knows: one signal a job, and lists of ids.  Lists come from the server, events keep them current. */
import { batch, computed, signal, type Signal } from '@preact/signals';
import { get, isAbort } from '../api';
import type { Job, JobsReply, QueueReply, StudioEvent } from '../types';
import { isActive, isWaiting, promptOf } from './job_kind';
import { complain } from './messages';

const PAGE = 48;
const QUEUE_PAGE = 199; /* the most that one answer has */
/* Of those that wait; two more are asked for, so that the last one shown can be moved down. */
const WAITING_SHOWN = 100;
const WAITING_AHEAD = 2;
const known = new Map<string, Signal<Job>>();
/* When the last event about a job, and about its progress, came: an answer that was asked for earlier may be older. */
const told = new Map<string, number>();
const progressTold = new Map<string, number>();
let now = 0;

/* To be asked before the server is: what it answers is compared with the events that come meanwhile. */
export const moment = () => now;

export const queueIds = signal<readonly string[]>([]); /* those that run, then those that wait: of many the first ones */
export const queueHasMore = signal(false);
export const waitingShown = signal(WAITING_SHOWN);
export const pausedIds = signal<readonly string[]>([]);
export const stoppedIds = signal<readonly string[]>([]); /* failed, cancelled */
export const outputIds = signal<readonly string[]>([]);
export const outputsHaveMore = signal(false);
export const outputsText = signal('');
export const isOutputsLoading = signal(true);
export const recentIds = signal<readonly string[]>([]); /* the newest completed, whatever is searched */
export const counts = signal<QueueReply['counts']>({});
/* All that wait, those that are not known included. */
export const waitingCount = computed(() => (counts.value.queued ?? 0) + (counts.value.interrupted ?? 0));
export const isHeld = signal(false);
export const isLoaded = signal(false);

/* Changes when a job becomes known or is forgotten. */
const arrivals = signal(0);

export function jobOf(id: string | null): Signal<Job> | undefined {
    void arrivals.value;
    return id === null ? undefined : known.get(id);
}

function put(job: Job, asked: number): void {
    if ((told.get(job.id) ?? 0) > asked)
        return;
    const old = known.get(job.id);
    if (old)
        old.value = (progressTold.get(job.id) ?? 0) > asked && isActive(job.state) ? { ...job, progress: old.value.progress } : job;
    else {
        known.set(job.id, signal(job));
        arrivals.value = arrivals.peek() + 1;
    }
}

function putAll(jobs: Job[], asked: number): string[] {
    batch(() => jobs.forEach((job) => put(job, asked)));
    return jobs.map((j) => j.id);
}

const stateOf = (id: string) => known.get(id)?.value.state;

/* ---- from the server ---- */

async function getQueue(): Promise<QueueReply> {
    let wanted = waitingShown.value + WAITING_AHEAD;
    const page = (after: string) => get<QueueReply>(`/api/v1/queue?limit=${Math.min(wanted, QUEUE_PAGE)}${after}`);
    const all = await page('');
    while (all.has_more && (wanted -= QUEUE_PAGE) > 0) {
        const next = await page(`&after=${all.jobs.at(-1)!.id}`);
        const known = new Set(all.jobs.map((j) => j.id)); /* the line may move meanwhile */
        all.jobs.push(...next.jobs.filter((j) => !known.has(j.id)));
        all.has_more = next.has_more;
    }
    return all;
}

export async function loadQueue(): Promise<void> {
    const asked = now;
    const reply = await getQueue();
    const ids = putAll(reply.jobs, asked);
    queueIds.value = ids.filter((id) => isActive(stateOf(id)!) || isWaiting(stateOf(id)!));
    queueHasMore.value = reply.has_more;
    counts.value = reply.counts;
    isHeld.value = reply.paused;
    isLoaded.value = true;
}

export function showMoreWaiting(): void {
    waitingShown.value += WAITING_SHOWN;
    loadQueue().catch(complain);
}

async function loadList(states: string, limit: number): Promise<string[]> {
    const asked = now;
    const reply = await get<JobsReply>(`/api/v1/jobs?state=${states}&limit=${limit}`);
    return putAll(reply.jobs, asked).filter((id) => states.split(',').includes(stateOf(id)!));
}

let search = new AbortController();

/* The first page of what the search finds, or the next one. */
export async function loadOutputs(isNext: boolean): Promise<void> {
    search.abort();
    const mine = (search = new AbortController());
    const asked = now;
    const last = outputIds.value.at(-1);
    const query = new URLSearchParams({ state: 'completed', limit: String(PAGE) });
    if (outputsText.value.trim())
        query.set('text', outputsText.value.trim());
    if (isNext && last)
        query.set('before', last);
    isOutputsLoading.value = true;
    try {
        const reply = await get<JobsReply>(`/api/v1/jobs?${query}`, mine.signal);
        const all = putAll(reply.jobs, asked);
        const ids = all.filter((id) => stateOf(id) === 'completed');
        outputIds.value = isNext ? [...new Set([...outputIds.value, ...ids])] : ids;
        outputsHaveMore.value = reply.has_more;
        placeTold(asked);
    } catch (e) {
        if (!isAbort(e))
            throw e;
    } finally {
        if (mine === search)
            isOutputsLoading.value = false;
    }
}

export async function loadAll(): Promise<void> {
    const asked = now;
    const [, paused, stopped, recent] = await Promise.all([
        loadQueue(), loadList('paused', 100), loadList('failed,cancelled', 50), loadList('completed', 12),
        loadOutputs(false),
    ]);
    pausedIds.value = paused;
    stoppedIds.value = stopped;
    recentIds.value = recent;
    placeTold(asked);
}

/* A job that is wanted but in no list, as after a reload. */
export async function loadJob(id: string): Promise<Job> {
    const asked = now;
    const job = await get<Job>(`/api/v1/jobs/${id}`);
    put(job, asked);
    return job;
}

let timer = 0;

/* Places in the line are the server's business: after a change it is asked, once for many changes. */
export function reloadQueueSoon(): void {
    if (!timer)
        timer = setTimeout(() => {
            timer = 0;
            loadQueue().catch(complain);
        }, 150);
}

/* ---- from events ---- */

/* Newest first: ids sort by time of creation. */
function insert(list: Signal<readonly string[]>, id: string, belongs: boolean): void {
    const rest = list.value.filter((i) => i !== id);
    if (belongs) {
        const at = rest.findIndex((i) => i < id);
        rest.splice(at < 0 ? rest.length : at, 0, id);
    }
    if (rest.length !== list.value.length || belongs)
        list.value = rest;
}

function isFound(job: Job): boolean {
    const last = outputIds.value.at(-1);
    const text = outputsText.value.trim().toLowerCase();
    return promptOf(job).toLowerCase().includes(text) && !(outputsHaveMore.value && last && job.id < last);
}

function place(job: Job): void {
    const isDone = job.state === 'completed';
    const inQueue = isActive(job.state) || isWaiting(job.state);
    insert(pausedIds, job.id, job.state === 'paused');
    insert(stoppedIds, job.id, job.state === 'failed' || job.state === 'cancelled');
    insert(outputIds, job.id, isDone && isFound(job));
    insert(recentIds, job.id, isDone);
    if (!inQueue)
        queueIds.value = queueIds.value.filter((id) => id !== job.id);
    else if (!queueIds.value.includes(job.id) && !(queueHasMore.value && isWaiting(job.state))) /* else it is behind them */
        queueIds.value = [...queueIds.value, job.id];
}

/* A list that was asked for earlier lacks what events brought since. */
function placeTold(asked: number): void {
    for (const [id, at] of told) {
        const job = at > asked ? known.get(id)?.peek() : undefined;
        if (job)
            place(job);
    }
}

export function forget(id: string): void {
    for (const list of [queueIds, pausedIds, stoppedIds, outputIds, recentIds])
        if (list.value.includes(id))
            list.value = list.value.filter((i) => i !== id);
    known.delete(id);
    progressTold.delete(id);
    told.set(id, ++now); /* an answer on its way may still have it */
    arrivals.value = arrivals.peek() + 1;
}

/* A job as an event gives it, or the answer to an action that was asked for at that moment: events may have overtaken it. */
export function accept(job: Job, asked = now): Job {
    const old = stateOf(job.id);
    if ((told.get(job.id) ?? 0) > asked)
        return job;
    put(job, asked);
    told.set(job.id, ++now);
    place(job);
    /* From one phase to the next nothing moves in the line. */
    if (!(old && isActive(old) && isActive(job.state)))
        reloadQueueSoon();
    return job;
}

export function onEvent(e: StudioEvent): void {
    if (e.type === 'job') {
        const old = known.get(e.job.id)?.value;
        /* A change of state comes without the progress that was told a moment ago. */
        accept(!e.job.progress && old && isActive(e.job.state) ? { ...e.job, progress: old.progress } : e.job);
    } else if (e.type === 'progress') {
        const job = known.get(e.job_id);
        if (job && isActive(job.value.state)) {
            progressTold.set(e.job_id, ++now);
            job.value = { ...job.value, progress: e.progress };
        }
    } else if (e.type === 'removed') {
        forget(e.job_id);
        reloadQueueSoon();
    }
}
