import { Form } from '../form/form';
import { promptOf, share, stateText, isActive } from '../state/job_kind';
import { jobOf, queueHasMore, queueIds, recentIds, waitingCount } from '../state/jobs';
import { models, usableModels } from '../state/models';
import { go } from '../router';
import { stageId } from '../state/stage';
import { Button } from '../ui/button';
import { Empty } from '../ui/empty';
import { Stage } from './stage';

const MOST = 12;
const MOST_QUEUED = 3;

function ReelItem({ id }: { id: string }) {
    const job = jobOf(id)?.value;
    if (!job)
        return null;
    const done = share(job);
    return (
        <button type="button" class="reel-item" aria-pressed={id === stageId.value} title={promptOf(job)}
            aria-label={`${stateText(job)}: ${promptOf(job)}`} onClick={() => (stageId.value = id)}>
            {job.thumbnail_url && !isActive(job.state) ? <img src={job.thumbnail_url} alt="" loading="lazy" />
                : <span class="reel-blank">{promptOf(job)}</span>}
            {isActive(job.state) && <span class="reel-done" style={{ width: `${(done ?? 0.04) * 100}%` }} />}
        </button>
    );
}

/* What runs, what waits, what was finished last: one click brings it on the stage. */
function Reel() {
    const queue = queueIds.value;
    const ids = [...new Set([...queue.slice(0, MOST_QUEUED), ...recentIds.value])].slice(0, MOST);
    const nQueued = Math.min(queue.length, MOST_QUEUED);
    const nLeft = queueHasMore.value ? waitingCount.value - nQueued : queue.length - nQueued;
    if (ids.length === 0)
        return null;
    return (
        <nav class="reel" aria-label="Recent videos">
            {ids.slice(0, nQueued).map((id) => <ReelItem key={id} id={id} />)}
            {nLeft > 0 && (
                <button type="button" class="reel-item reel-blank" onClick={() => go('queue')}>{nLeft} more wait</button>
            )}
            {ids.slice(nQueued).map((id) => <ReelItem key={id} id={id} />)}
        </nav>
    );
}

export function Generate() {
    if (models.value !== null && usableModels.value.length === 0)
        return (
            <Empty icon="models" title="No model to generate with">
                <p>Put a model in the folder of models. The tab Models says which one that is.</p>
                <Button onClick={() => go('models')}>Show models</Button>
            </Empty>
        );
    return (
        <div class="generate">
            <Form />
            <div class="stage-column">
                <Stage />
                <Reel />
            </div>
        </div>
    );
}
