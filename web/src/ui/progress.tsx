import { about, duration, perStep } from '../format';
import { isActive, share, stateText } from '../state/job_kind';
import type { Job, Progress } from '../types';
import { useNow } from './hooks';

/* When this page was told of a progress, so that what remains counts down between messages. */
const toldAt = new WeakMap<Progress, number>();

function remaining(p: Progress, now: number): number | null {
    if (p.eta_s === null)
        return null;
    const at = toldAt.get(p) ?? now;
    toldAt.set(p, at);
    return Math.max(0, p.eta_s - (now - at));
}

export function Bar({ job }: { job: Job }) {
    const done = share(job);
    return (
        <div class={done === null ? 'bar unknown' : 'bar'} role="progressbar" aria-label={stateText(job)}
            aria-valuemin={0} aria-valuemax={100} aria-valuenow={done === null ? undefined : Math.round(done * 100)}>
            <div class="bar-done" style={{ width: done === null ? '30%' : `${done * 100}%` }} />
        </div>
    );
}

/* "Step 5 of 24 · 0.22 s a step · about 4.2 s left" */
export function ProgressText({ job }: { job: Job }) {
    const now = useNow(500, isActive(job.state));
    const p = job.progress;
    const parts: string[] = [];
    if (p && p.total > 0)
        parts.push(`${job.state === 'sampling' ? 'step ' : ''}${p.done} of ${p.total}`);
    if (p && p.unit_s && job.state === 'sampling')
        parts.push(perStep(p.unit_s));
    const left = p ? remaining(p, now) : null;
    if (left !== null && p && p.done < p.total)
        parts.push(left < 0.95 ? 'nearly done' : `${about(left)} left`);
    else if (job.started_at)
        parts.push(`${duration(now - job.started_at)} so far`);
    return (
        <p class="progress-text">
            <strong>{stateText(job)}</strong>
            {parts.length > 0 && <span> · {parts.join(' · ')}</span>}
        </p>
    );
}
