/* The rows of the queue, a kind a state. */
import type { ComponentChildren } from 'preact';
import { about, ago, plural } from '../format';
import { go } from '../router';
import { act, duplicate, move, remove } from '../state/actions';
import { loadRequest } from '../state/draft';
import { isFinal, promptOf, sizeOf, stateText } from '../state/job_kind';
import { jobOf } from '../state/jobs';
import { modelOf, modelTitle } from '../state/models';
import { stageId } from '../state/stage';
import type { Job } from '../types';
import { Button, IconButton } from '../ui/button';
import { useNow } from '../ui/hooks';
import { Bar, ProgressText } from '../ui/progress';

const PRIORITIES: readonly [number, string][] = [[100, 'Urgent'], [10, 'High'], [0, 'Normal'], [-10, 'Low']];

function facts(job: Job): string {
    const size = sizeOf(job);
    const { frames, steps } = { ...modelOf(job.model)?.defaults, ...job.plan?.request, ...job.request };
    return [
        modelTitle(job.model),
        size && `${size.width} × ${size.height}`,
        typeof frames === 'number' && plural(frames, 'frame'),
        typeof steps === 'number' && plural(steps, 'step'),
        !!job.plan?.seconds && !isFinal(job.state) && about(job.plan.seconds),
        job.attempt > 1 && `attempt ${job.attempt}`,
    ].filter(Boolean).join(' · ');
}

function Row({ job, lead, children, actions }: { job: Job; lead?: ComponentChildren; children?: ComponentChildren; actions: ComponentChildren }) {
    const show = () => {
        stageId.value = job.id;
        go('generate');
    };
    return (
        <li class="job-row card">
            {lead !== undefined && <div class="job-lead">{lead}</div>}
            <div class="job-main">
                <button type="button" class="job-prompt" title={promptOf(job)} onClick={show}>{promptOf(job) || 'No prompt'}</button>
                <p class="job-facts">{facts(job)}</p>
                {children}
            </div>
            <div class="job-actions">{actions}</div>
        </li>
    );
}

export function RunningRow({ id }: { id: string }) {
    const job = jobOf(id)?.value;
    if (!job)
        return null;
    const isAsked = job.wish === 'cancel' || job.wish === 'pause';
    return (
        <Row job={job} actions={
            <>
                <IconButton icon="copy" label="Duplicate" onClick={() => void duplicate(id)} />
                <Button icon="pause" disabled={isAsked} onClick={() => void act(id, 'pause')}>Pause</Button>
                <Button icon="close" disabled={job.wish === 'cancel'} onClick={() => void act(id, 'cancel')}>Cancel</Button>
            </>
        }>
            <Bar job={job} />
            <ProgressText job={job} />
        </Row>
    );
}

function Priority({ job }: { job: Job }) {
    const isNamed = PRIORITIES.some(([n]) => n === job.priority);
    return (
        <select class="small" aria-label="Priority" title="Priority" value={String(job.priority)}
            onChange={(e) => void move(job.id, { priority: Number(e.currentTarget.value) })}>
            {!isNamed && <option value={String(job.priority)}>{job.priority}</option>}
            {PRIORITIES.map(([n, name]) => <option key={n} value={String(n)}>{name}</option>)}
        </select>
    );
}

function editJob(job: Job): void {
    loadRequest(job.request, job.id);
    go('generate');
}

export function WaitingRow({ id, index, all }: { id: string; index: number; all: readonly string[] }) {
    const job = jobOf(id)?.value;
    if (!job)
        return null;
    return (
        <Row job={job} lead={index + 1} actions={
            <>
                <Priority job={job} />
                <IconButton icon="first" label="To the front" disabled={index === 0} onClick={() => void move(id, { before: all[0]! })} />
                <IconButton icon="up" label="Move up" disabled={index === 0} onClick={() => void move(id, { before: all[index - 1]! })} />
                <IconButton icon="down" label="Move down" disabled={index === all.length - 1}
                    onClick={() => void move(id, { before: all[index + 2] ?? '' })} />
                <IconButton icon="edit" label="Edit" onClick={() => editJob(job)} />
                <IconButton icon="copy" label="Duplicate" onClick={() => void duplicate(id)} />
                <IconButton icon="pause" label="Pause" onClick={() => void act(id, 'pause')} />
                <IconButton icon="close" label="Cancel" onClick={() => void act(id, 'cancel')} />
            </>
        }>
            {job.state === 'interrupted' && (
                <p class="job-facts">{job.error?.message ?? 'It was interrupted'}; it goes on where it stopped.</p>
            )}
        </Row>
    );
}

export function PausedRow({ id }: { id: string }) {
    const job = jobOf(id)?.value;
    if (!job)
        return null;
    return (
        <Row job={job} actions={
            <>
                <IconButton icon="edit" label="Edit" onClick={() => editJob(job)} />
                <IconButton icon="copy" label="Duplicate" onClick={() => void duplicate(id)} />
                <Button icon="play" onClick={() => void act(id, 'resume')}>Go on</Button>
                <IconButton icon="close" label="Cancel" onClick={() => void act(id, 'cancel')} />
            </>
        } />
    );
}

export function StoppedRow({ id }: { id: string }) {
    const now = useNow(30000);
    const job = jobOf(id)?.value;
    if (!job)
        return null;
    return (
        <Row job={job} actions={
            <>
                <Button icon="retry" onClick={() => void act(id, 'retry')}>Retry</Button>
                <IconButton icon="edit" label="Use these settings" onClick={() => { loadRequest(job.request); go('generate'); }} />
                <IconButton icon="trash" label="Remove" danger onClick={() => void remove(id)} />
            </>
        }>
            <p class={job.state === 'failed' ? 'job-error' : 'job-facts'}>
                {job.error?.message ?? stateText(job)}
                {job.finished_at && <span class="when"> · {ago(job.finished_at, now)}</span>}
            </p>
        </Row>
    );
}
