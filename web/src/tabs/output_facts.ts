/* Everything that is known of a finished video, as rows of a name and a text. */
import { bytes, duration, label } from '../format';
import { sizeOf, wholeRequest } from '../state/job_kind';
import type { Job } from '../types';

export type Fact = [name: string, text: string];

function show(v: unknown): string {
    return typeof v === 'object' && v !== null ? JSON.stringify(v) : String(v);
}

/* "sampling 35 s, decoding 6.6 s": each phase once, in the order they began. */
export function phaseTimes(timings: unknown): string {
    const sums = new Map<string, number>();
    for (const t of Array.isArray(timings) ? (timings as Record<string, unknown>[]) : [])
        if (typeof t['phase'] === 'string' && typeof t['seconds'] === 'number')
            sums.set(t['phase'], (sums.get(t['phase']) ?? 0) + t['seconds']);
    return [...sums].map(([phase, s]) => `${phase} ${duration(s)}`).join(', ');
}

export function outputFacts(job: Job, modelTitle: string): Fact[] {
    const size = sizeOf(job);
    const skip = ['prompt', 'model', 'output', ...(size ? ['width', 'height'] : [])];
    const request = Object.entries(wholeRequest(job))
        .filter(([name, v]) => !skip.includes(name) && v !== null && v !== '')
        .map(([name, v]): Fact => [label(name), show(v)]);
    const r = job.result ?? {};
    const facts: Fact[] = [
        ['Model', modelTitle],
        ['Size', size ? `${size.width} × ${size.height}` : ''],
        ...request,
        ['Made', job.finished_at ? new Date(job.finished_at * 1000).toLocaleString() : ''],
        ['Took', r.seconds === undefined ? '' : duration(r.seconds)],
        ['Of which', phaseTimes(r['timings'] ?? r.spans)],
        ['Computed in', typeof r['dtype'] === 'string' && !job.request['dtype'] ? r['dtype'] : ''],
        ['Computed on', typeof r['device'] === 'string' ? r['device'] : ''],
        ['Most memory', r.peak_bytes ? bytes(r.peak_bytes) : ''],
        ['Encoder', r.encoder ?? ''],
        ['Frames’ hash', r.frames_hash ?? ''],
        ['Job', job.id],
    ];
    return facts.filter(([, text]) => text !== '');
}
