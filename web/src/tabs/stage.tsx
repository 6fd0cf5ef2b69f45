/* The stage: the one job that is looked at, from its place in the line to the finished video. */
import { useEffect, useState } from 'preact/hooks';
import { bytes, duration } from '../format';
import { act } from '../state/actions';
import { loadRequest, setValue, model } from '../state/draft';
import { isActive, isFinal, isWaiting, promptOf, sizeOf, stateText } from '../state/job_kind';
import { counts, jobOf, queueHasMore, queueIds } from '../state/jobs';
import { stageId } from '../state/stage';
import type { Job } from '../types';
import { Button, LinkButton } from '../ui/button';
import { Clip } from '../ui/clip';
import { Icon } from '../ui/icon';
import { Bar, ProgressText } from '../ui/progress';

const EXAMPLES: Record<string, readonly string[]> = {
    demo: ['a red ball rolling to the right', 'a blue star spins under the sky', 'a small green heart bounces on a gradient'],
};
const ANY_EXAMPLES = ['A cat walks through tall grass at sunset, the camera follows low', 'Waves break on black rocks, slow motion'];

function EmptyStage() {
    const examples = EXAMPLES[model.value?.name ?? ''] ?? ANY_EXAMPLES;
    return (
        <div class="screen empty-screen">
            <div class="empty">
                <Icon name="outputs" size={40} />
                <h2>{counts.value.completed ? 'What comes next?' : 'No videos yet'}</h2>
                <p>Describe one and press Generate. For example:</p>
                <div class="examples">
                    {examples.map((e) => (
                        <button key={e} type="button" class="chip" onClick={() => setValue('prompt', e)}>{e}</button>
                    ))}
                </div>
            </div>
        </div>
    );
}

/* The newest preview that has arrived: the next one is shown when it is whole, so that nothing flickers. */
function usePreview(job: Job): string | null {
    const [shown, setShown] = useState<string | null>(null);
    const step = job.state === 'sampling' && job.progress && job.progress.phase === 'sampling' ? job.progress.done : 0;
    const next = job.preview_url && step > 0 ? `${job.preview_url}?step=${step}` : null;
    useEffect(() => setShown(null), [job.id]);
    useEffect(() => {
        if (!next)
            return undefined;
        let isWanted = true;
        const picture = new Image();
        picture.onload = () => isWanted && setShown(next);
        picture.src = next;
        return () => {
            isWanted = false;
        };
    }, [next]);
    return shown;
}

function ratio(job: Job): string {
    const size = sizeOf(job);
    return size ? `${size.width} / ${size.height}` : '16 / 9';
}

function RunningScreen({ job }: { job: Job }) {
    const preview = usePreview(job);
    const place = queueIds.value.indexOf(job.id);
    const before = place < 0 && queueHasMore.value ? `More than ${queueIds.value.length} before it`
        : place > 0 ? `${place} before it` : 'Next in line';
    return (
        <div class="screen">
            <div class="frame" style={{ aspectRatio: ratio(job) }}>
                {preview ? <img class="preview" src={preview} alt="What sampling has so far" />
                    : <div class={isActive(job.state) ? 'developing' : 'developing still'} />}
                {isWaiting(job.state) && (
                    <p class="on-frame">{before}</p>
                )}
                {job.state === 'paused' && <p class="on-frame"><Icon name="pause" /> Paused</p>}
            </div>
        </div>
    );
}

function FinishedScreen({ job }: { job: Job }) {
    return (
        <div class="screen">
            <Clip job={job} class="frame" style={{ aspectRatio: ratio(job) }} controls />
        </div>
    );
}

function StoppedScreen({ job }: { job: Job }) {
    return (
        <div class="screen">
            <div class="frame stopped" style={{ aspectRatio: ratio(job) }}>
                <Icon name={job.state === 'failed' ? 'warning' : 'close'} size={34} />
                <p>{stateText(job)}</p>
            </div>
        </div>
    );
}

export function JobButtons({ job }: { job: Job }) {
    const isAsked = job.wish === 'cancel' || job.wish === 'pause';
    return (
        <div class="row">
            {(isActive(job.state) || isWaiting(job.state)) && (
                <>
                    <Button icon="pause" disabled={isAsked} onClick={() => void act(job.id, 'pause')}>Pause</Button>
                    <Button icon="close" disabled={job.wish === 'cancel'} onClick={() => void act(job.id, 'cancel')}>Cancel</Button>
                </>
            )}
            {job.state === 'paused' && (
                <>
                    <Button kind="primary" icon="play" onClick={() => void act(job.id, 'resume')}>Go on</Button>
                    <Button icon="close" onClick={() => void act(job.id, 'cancel')}>Cancel</Button>
                </>
            )}
            {(job.state === 'failed' || job.state === 'cancelled') && (
                <Button kind="primary" icon="retry" onClick={() => void act(job.id, 'retry')}>Retry</Button>
            )}
            {job.video_url && (
                <LinkButton href={`${job.video_url}?download=1`} icon="download" download>Download</LinkButton>
            )}
            {isFinal(job.state) && (
                <Button icon="settingsUse" onClick={() => loadRequest(job.request)}>Use these settings</Button>
            )}
        </div>
    );
}

function facts(job: Job): string {
    const size = sizeOf(job);
    const seed = job.request['seed'] ?? job.result?.request?.['seed'];
    return [
        size && `${size.width} × ${size.height}`,
        seed !== undefined && seed !== null && `seed ${String(seed)}`,
        job.result?.seconds !== undefined && `made in ${duration(job.result.seconds)}`,
        !!job.result?.peak_bytes && `${bytes(job.result.peak_bytes)} at most`,
    ].filter(Boolean).join(' · ');
}

export function Stage() {
    const job = jobOf(stageId.value)?.value;
    if (!job)
        return <section class="stage" aria-label="Current video"><EmptyStage /></section>;
    const isGoing = !isFinal(job.state);
    return (
        <section class="stage" aria-label="Current video">
            {job.state === 'completed' && job.video_url ? <FinishedScreen job={job} />
                : isGoing ? <RunningScreen job={job} /> : <StoppedScreen job={job} />}
            <div class="stage-foot">
                <div class="stage-status">
                    {isGoing && <Bar job={job} />}
                    {isGoing ? <ProgressText job={job} /> : <p class="progress-text">{facts(job) || stateText(job)}</p>}
                    {job.error && job.state === 'failed' && <p class="job-error" role="alert">{job.error.message}</p>}
                    <p class="prompt-line" title={promptOf(job)}>{promptOf(job)}</p>
                </div>
                <JobButtons job={job} />
            </div>
        </section>
    );
}
