/* What runs, what waits, and what stopped. */
import { useState } from 'preact/hooks';
import { duration, plural } from '../format';
import { isActive, isWaiting } from '../state/job_kind';
import {
    counts, isHeld, isLoaded, jobOf, pausedIds, queueHasMore, queueIds, recentIds, showMoreWaiting, stoppedIds, waitingCount, waitingShown,
} from '../state/jobs';
import { hold, remove } from '../state/actions';
import { go } from '../router';
import { Button } from '../ui/button';
import { Confirm } from '../ui/dialog';
import { Empty } from '../ui/empty';
import { PausedRow, RunningRow, StoppedRow, WaitingRow } from './queue_rows';

function Tile({ value, name }: { value: string; name: string }) {
    return (
        <div class="tile">
            <dd>{value}</dd>
            <dt>{name}</dt>
        </div>
    );
}

/* Seconds a finished job took on average, of the newest. */
function typicalSeconds(): number | null {
    const times = recentIds.value
        .map((id) => jobOf(id)?.value.result?.seconds)
        .filter((s): s is number => typeof s === 'number');
    return times.length ? times.reduce((a, b) => a + b, 0) / times.length : null;
}

/* What is still to do: what running jobs say, and for the rest what their plan or the others took. */
function secondsLeft(typical: number | null): number | null {
    let sum = 0;
    for (const id of queueIds.value) {
        const job = jobOf(id)?.value;
        const s = job?.progress?.eta_s ?? (job?.plan?.seconds || typical);
        if (s == null)
            return null;
        sum += s;
    }
    if (!queueHasMore.value)
        return sum;
    const unknown = waitingCount.value - queueIds.value.filter((id) => isWaiting(jobOf(id)!.value.state)).length;
    return typical === null ? null : sum + Math.max(unknown, 0) * typical;
}

function Statistics() {
    const c = counts.value;
    const typical = typicalSeconds();
    const left = queueIds.value.length ? secondsLeft(typical) : null;
    return (
        <dl class="tiles">
            <Tile value={String(queueIds.value.filter((id) => isActive(jobOf(id)!.value.state)).length)} name="running" />
            <Tile value={String(waitingCount.value)} name="waiting" />
            <Tile value={String(c.completed ?? 0)} name="completed" />
            <Tile value={String(c.failed ?? 0)} name="failed" />
            <Tile value={typical === null ? '–' : duration(typical)} name="a job, lately" />
            <Tile value={left === null ? '–' : duration(left)} name="until all is done" />
        </dl>
    );
}

function ClearStopped() {
    const [isAsking, setAsking] = useState(false);
    const ids = stoppedIds.value;
    const clear = async () => {
        setAsking(false);
        for (const id of ids)
            await remove(id);
    };
    return (
        <>
            <Button kind="quiet" icon="trash" onClick={() => setAsking(true)}>Remove all</Button>
            {isAsking && (
                <Confirm title="Remove these jobs?" action="Remove" onClose={() => setAsking(false)} onYes={() => void clear()}
                    text={`${plural(ids.length, 'job')} that failed or were cancelled will be removed from the list.`} />
            )}
        </>
    );
}

function Waiting({ ids }: { ids: readonly string[] }) {
    const nShown = waitingShown.value;
    const n = queueHasMore.value ? waitingCount.value : ids.length;
    return (
        <section>
            <h2>Waiting <span class="count">{n}</span></h2>
            <ol class="rows">
                {ids.slice(0, nShown).map((id, i) => <WaitingRow key={id} id={id} index={i} all={ids} />)}
            </ol>
            {n > nShown && <Button onClick={showMoreWaiting}>Show more ({n - nShown} left)</Button>}
        </section>
    );
}

export function Queue() {
    const running = queueIds.value.filter((id) => isActive(jobOf(id)!.value.state));
    const waiting = queueIds.value.filter((id) => isWaiting(jobOf(id)!.value.state));
    const isEmpty = running.length + waiting.length + pausedIds.value.length + stoppedIds.value.length === 0;
    return (
        <div class="queue">
            <div class="tab-head">
                <h1>Queue</h1>
                <Button icon={isHeld.value ? 'play' : 'pause'} pressed={isHeld.value} onClick={() => void hold(!isHeld.value)}>
                    {isHeld.value ? 'Begin jobs again' : 'Hold the queue'}
                </Button>
            </div>
            <Statistics />
            {isHeld.value && <p class="note">The queue is held: what runs goes on, nothing new is begun.</p>}
            {isEmpty && isLoaded.value && (
                <Empty icon="queue" title="Nothing to do">
                    <p>Jobs appear here while they wait and run. They survive a restart.</p>
                    <Button kind="primary" icon="generate" onClick={() => go('generate')}>Describe a video</Button>
                </Empty>
            )}
            {running.length > 0 && (
                <section>
                    <h2>Running</h2>
                    <ul class="rows">{running.map((id) => <RunningRow key={id} id={id} />)}</ul>
                </section>
            )}
            {waiting.length > 0 && <Waiting ids={waiting} />}
            {pausedIds.value.length > 0 && (
                <section>
                    <h2>Paused</h2>
                    <ul class="rows">{pausedIds.value.map((id) => <PausedRow key={id} id={id} />)}</ul>
                </section>
            )}
            {stoppedIds.value.length > 0 && (
                <section>
                    <div class="tab-head">
                        <h2>Failed and cancelled</h2>
                        <ClearStopped />
                    </div>
                    <ul class="rows">{stoppedIds.value.map((id) => <StoppedRow key={id} id={id} />)}</ul>
                </section>
            )}
        </div>
    );
}
