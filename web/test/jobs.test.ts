/* The lists of jobs: what the server answers and what it tells meanwhile. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ApiError, call, isLocked } from '../src/api';
import { accept, counts, forget, jobOf, loadOutputs, loadQueue, onEvent, outputIds, outputsText, pausedIds, queueHasMore, queueIds, recentIds, showMoreWaiting, stoppedIds,
    waitingCount, waitingShown } from '../src/state/jobs';
import { act } from '../src/state/actions';
import { share, sizeOf, stateText, wholeRequest } from '../src/state/job_kind';
import { outputFacts, phaseTimes } from '../src/tabs/output_facts';
import type { Job, JobState, Progress } from '../src/types';

function job(id: string, state: JobState, more: Partial<Job> = {}): Job {
    return {
        id, state, model: 'demo', priority: 0, attempt: 0, created_at: 1, started_at: null, finished_at: null,
        request: { model: 'demo', prompt: `prompt of ${id}` }, labels: null, plan: null, progress: null, result: null, error: null,
        video_url: null, video_type: null, thumbnail_url: null, preview_url: null, ...more,
    };
}

const progress = (done: number): Progress => ({ phase: 'sampling', text: '', done, total: 24, elapsed_s: 1, unit_s: 0.1, eta_s: 2 });

/* The next answer of the server; it comes when `release` is called. */
function nextAnswer(body: unknown, status = 200): () => void {
    let release = () => {};
    const wait = new Promise<void>((done) => (release = done));
    globalThis.fetch = async () => {
        await wait;
        return new Response(JSON.stringify(body), { status });
    };
    return release;
}

function clear(): void {
    for (const id of [...queueIds.value, ...pausedIds.value, ...stoppedIds.value, ...outputIds.value, ...recentIds.value])
        forget(id);
}

test('the queue is as the server orders it', async () => {
    nextAnswer({ jobs: [job('job_c', 'sampling'), job('job_b', 'queued'), job('job_a', 'interrupted')], counts: { queued: 1 }, paused: false })();
    await loadQueue();
    assert.deepEqual(queueIds.value, ['job_c', 'job_b', 'job_a']);
    assert.equal(counts.value.queued, 1);
    clear();
});

test('of a long queue the first part is known, and more when it is asked for', async () => {
    const asked: string[] = [];
    const line = Array.from({ length: 450 }, (_, i) => job(`job_${String(i).padStart(3, '0')}`, 'queued'));
    globalThis.fetch = async (input) => {
        const query = new URL(String(input), 'http://x').searchParams;
        asked.push(String(input));
        const from = query.has('after') ? line.findIndex((j) => j.id === query.get('after')) + 1 : 0;
        const jobs = line.slice(from, from + Number(query.get('limit')));
        return new Response(JSON.stringify({ jobs, has_more: from + jobs.length < line.length, counts: { queued: line.length }, paused: false }));
    };
    await loadQueue();
    assert.deepEqual(asked, ['/api/v1/queue?limit=102']);
    assert.equal(queueIds.value.length, 102);
    assert.equal(queueHasMore.value, true);
    assert.equal(waitingCount.value, 450);
    accept(job('job_new', 'queued'));
    assert.ok(!queueIds.value.includes('job_new')); /* it is behind those that are known */
    showMoreWaiting();
    showMoreWaiting();
    await loadQueue();
    assert.equal(queueIds.value.length, 302);
    assert.equal(new Set(queueIds.value).size, 302);
    assert.ok(asked.includes('/api/v1/queue?limit=103&after=job_198'));
    waitingShown.value = 100;
    forget('job_new');
    clear();
    queueHasMore.value = false;
});

test('an answer that was asked for before an event does not undo the event', async () => {
    nextAnswer({ jobs: [job('job_a', 'sampling')], counts: {}, paused: false })();
    await loadQueue();
    const release = nextAnswer({ jobs: [job('job_a', 'sampling')], counts: {}, paused: false });
    const loading = loadQueue();
    onEvent({ type: 'job', id: 1, job: job('job_a', 'completed') });
    release();
    await loading;
    assert.equal(jobOf('job_a')!.value.state, 'completed');
    assert.deepEqual(queueIds.value, []);
    assert.deepEqual(recentIds.value, ['job_a']);
    clear();
});

test("an action's answer that events have overtaken changes nothing", async () => {
    accept(job('job_a', 'sampling'));
    const release = nextAnswer(job('job_a', 'sampling', { wish: 'cancel' }));
    const acting = act('job_a', 'cancel');
    onEvent({ type: 'job', id: 1, job: job('job_a', 'sampling', { wish: 'cancel' }) });
    onEvent({ type: 'job', id: 2, job: job('job_a', 'cancelled') });
    release();
    assert.equal(await acting, true);
    assert.equal(jobOf('job_a')!.value.state, 'cancelled');
    assert.deepEqual(stoppedIds.value, ['job_a']);
    assert.deepEqual(queueIds.value, []);
    clear();
});

test('progress that came meanwhile does not hide what an action answered', async () => {
    accept(job('job_a', 'sampling'));
    const release = nextAnswer(job('job_a', 'sampling', { wish: 'pause', progress: progress(3) }));
    const acting = act('job_a', 'pause');
    onEvent({ type: 'progress', job_id: 'job_a', progress: progress(4) });
    release();
    await acting;
    assert.equal(jobOf('job_a')!.value.wish, 'pause');
    assert.equal(jobOf('job_a')!.value.progress!.done, 4);
    clear();
});

test('a video that is done while the list is on its way is not lost', async () => {
    const release = nextAnswer({ jobs: [job('job_a', 'completed')], has_more: false });
    const loading = loadOutputs(false);
    onEvent({ type: 'job', id: 3, job: job('job_b', 'completed') });
    release();
    await loading;
    assert.deepEqual(outputIds.value, ['job_b', 'job_a']);
    clear();
});

test('a removed job does not come back with an answer that was on its way', async () => {
    accept(job('job_a', 'completed'));
    const release = nextAnswer({ jobs: [job('job_a', 'completed')], has_more: false });
    const loading = loadOutputs(false);
    onEvent({ type: 'removed', id: 3, job_id: 'job_a' });
    release();
    await loading;
    assert.deepEqual(outputIds.value, []);
});

test('events move a job from list to list, newest first', () => {
    nextAnswer({ jobs: [], counts: {}, paused: false })();
    for (const id of ['job_1', 'job_3', 'job_2'])
        accept(job(id, 'queued'));
    assert.deepEqual(queueIds.value, ['job_1', 'job_3', 'job_2']);
    for (const id of ['job_1', 'job_3', 'job_2'])
        onEvent({ type: 'job', id: 1, job: job(id, 'completed') });
    assert.deepEqual(outputIds.value, ['job_3', 'job_2', 'job_1']);
    onEvent({ type: 'job', id: 2, job: job('job_4', 'failed') });
    onEvent({ type: 'job', id: 3, job: job('job_5', 'paused') });
    assert.deepEqual(stoppedIds.value, ['job_4']);
    assert.deepEqual(pausedIds.value, ['job_5']);
    onEvent({ type: 'job', id: 4, job: job('job_4', 'queued') });
    assert.deepEqual(stoppedIds.value, []);
    onEvent({ type: 'removed', id: 5, job_id: 'job_3' });
    assert.deepEqual(outputIds.value, ['job_2', 'job_1']);
    assert.equal(jobOf('job_3'), undefined);
    clear();
});

test('progress is for jobs that run, and outlives a change of phase', () => {
    accept(job('job_a', 'sampling'));
    onEvent({ type: 'progress', job_id: 'job_a', progress: progress(5) });
    assert.equal(share(jobOf('job_a')!.value), 5 / 24);
    onEvent({ type: 'job', id: 1, job: job('job_a', 'decoding') });
    assert.equal(jobOf('job_a')!.value.progress!.done, 5);
    onEvent({ type: 'job', id: 2, job: job('job_a', 'completed') });
    onEvent({ type: 'progress', job_id: 'job_a', progress: progress(6) });
    assert.equal(jobOf('job_a')!.value.progress, null);
    onEvent({ type: 'progress', job_id: 'job_unknown', progress: progress(1) });
    clear();
});

test('a finished job that does not match the search is not among what was found', async () => {
    outputsText.value = 'BLUE';
    nextAnswer({ jobs: [], has_more: false })();
    await loadOutputs(false);
    accept(job('job_a', 'completed', { request: { model: 'demo', prompt: 'a red ball' } }));
    accept(job('job_b', 'completed', { request: { model: 'demo', prompt: 'a blue ball' } }));
    assert.deepEqual(outputIds.value, ['job_b']);
    assert.deepEqual(recentIds.value, ['job_b', 'job_a']);
    outputsText.value = '';
    clear();
});

test('the next page is added to the first', async () => {
    nextAnswer({ jobs: [job('job_9', 'completed'), job('job_8', 'completed')], has_more: true })();
    await loadOutputs(false);
    let asked = '';
    globalThis.fetch = async (input) => {
        asked = String(input);
        return new Response(JSON.stringify({ jobs: [job('job_7', 'completed')], has_more: false }));
    };
    await loadOutputs(true);
    assert.match(asked, /before=job_8/);
    assert.deepEqual(outputIds.value, ['job_9', 'job_8', 'job_7']);
    clear();
});

test("an error is the server's own words", async () => {
    nextAnswer({ error: { code: 'KN_EINVAL', param: 'steps', message: 'steps: 2000, expected 1 to 1000' } }, 400)();
    await assert.rejects(call('POST', '/api/v1/jobs', {}), (e) =>
        e instanceof ApiError && e.param === 'steps' && e.status === 400 && e.message === 'steps: 2000, expected 1 to 1000');
    globalThis.fetch = async () => new Response('<html>', { status: 502, statusText: 'Bad Gateway' });
    await assert.rejects(call('GET', '/'), (e) => e instanceof ApiError && e.message.includes('502'));
    globalThis.fetch = async () => {
        throw new TypeError('failed');
    };
    await assert.rejects(call('GET', '/'), (e) => e instanceof ApiError && e.status === 0);
    assert.equal(isLocked.value, false);
    nextAnswer({ error: { message: 'a token is needed' } }, 401)();
    await assert.rejects(call('GET', '/'), (e) => e instanceof ApiError && e.status === 401);
    assert.equal(isLocked.value, true);
});

test('a wish is said before it is fulfilled; the whole request has what the result filled in', () => {
    assert.equal(stateText(job('job_a', 'sampling', { wish: 'cancel' })), 'Cancelling');
    assert.equal(stateText(job('job_a', 'sampling', { wish: null })), 'Sampling');
    const done = job('job_a', 'completed', { result: { request: { width: 96, height: 64, seed: 7 } } });
    assert.deepEqual(sizeOf(done), { width: 96, height: 64 });
    assert.equal(wholeRequest(done)['seed'], 7);
    assert.equal(sizeOf(job('job_b', 'queued')), null);
});

test('everything known of a video is listed, the filled-in included, nothing empty', () => {
    const done = job('job_a', 'completed', {
        result: {
            seconds: 48.2, peak_bytes: 8304960, encoder: 'libx264', request: { model: 'demo', width: 96, height: 64, seed: 7, negative_prompt: '' },
            timings: [{ phase: 'loading', seconds: 1 }, { phase: 'sampling', seconds: 35.1 }, { phase: 'loading', seconds: 3 }],
        },
    });
    const facts = new Map(outputFacts(done, 'Demo'));
    assert.equal(facts.get('Model'), 'Demo');
    assert.equal(facts.get('Size'), '96 × 64');
    assert.equal(facts.get('Seed'), '7');
    assert.equal(facts.get('Took'), '48 s');
    assert.equal(facts.get('Of which'), 'loading 4 s, sampling 35 s');
    assert.equal(facts.get('Most memory'), '8.3 MB');
    assert.ok(!facts.has('Negative prompt') && !facts.has('Made') && !facts.has('Width'));
    assert.equal(phaseTimes(null), '');
    assert.equal(phaseTimes([{ strange: 1 }]), '');
});
