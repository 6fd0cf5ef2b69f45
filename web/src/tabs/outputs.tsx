/* The gallery of finished videos. */
import { useRef, useState } from 'preact/hooks';
import { ago, duration } from '../format';
import { promptOf } from '../state/job_kind';
import { isOutputsLoading, jobOf, loadOutputs, outputIds, outputsHaveMore, outputsText } from '../state/jobs';
import { complain } from '../state/messages';
import { go } from '../router';
import { Button } from '../ui/button';
import { Clip } from '../ui/clip';
import { Empty } from '../ui/empty';
import { useNear } from '../ui/hooks';
import { Icon } from '../ui/icon';
import { OutputDialog } from './output_dialog';

const SEARCH_MS = 250;

function Tile({ id, onOpen }: { id: string; onOpen: () => void }) {
    const [isPlaying, setPlaying] = useState(false);
    const job = jobOf(id)?.value;
    if (!job)
        return null;
    const { frames, fps } = job.result?.request ?? {};
    const seconds = typeof frames === 'number' && typeof fps === 'number' && fps > 0 ? frames / fps : null;
    return (
        <li class="output">
            <button type="button" class="output-open" title={promptOf(job)} onClick={onOpen}
                onMouseEnter={() => setPlaying(true)} onMouseLeave={() => setPlaying(false)}
                onFocus={() => setPlaying(true)} onBlur={() => setPlaying(false)}>
                <span class="output-picture">
                    {job.thumbnail_url && <img src={job.thumbnail_url} alt="" loading="lazy" decoding="async" />}
                    {isPlaying && job.video_url && <Clip job={job} />}
                    {seconds !== null && <span class="output-length">{duration(seconds)}</span>}
                </span>
                <span class="output-prompt">{promptOf(job) || 'No prompt'}</span>
                <span class="output-when">{job.finished_at ? ago(job.finished_at, Date.now() / 1000) : ''}</span>
            </button>
        </li>
    );
}

function Search() {
    const timer = useRef(0);
    const onInput = (text: string) => {
        outputsText.value = text;
        clearTimeout(timer.current);
        timer.current = setTimeout(() => loadOutputs(false).catch(complain), SEARCH_MS);
    };
    return (
        <label class="search">
            <Icon name="search" />
            <input type="search" placeholder="Search in prompts" aria-label="Search in prompts" value={outputsText.value}
                onInput={(e) => onInput(e.currentTarget.value)} />
        </label>
    );
}

function More() {
    const near = useNear(() => {
        if (!isOutputsLoading.peek() && outputsHaveMore.peek())
            loadOutputs(true).catch(complain);
    });
    return <div ref={near} class="more-outputs">{isOutputsLoading.value ? 'Loading…' : ''}</div>;
}

function Nothing() {
    if (outputsText.value.trim())
        return (
            <Empty icon="search" title="Nothing found">
                <p>No prompt has “{outputsText.value.trim()}” in it.</p>
            </Empty>
        );
    return (
        <Empty icon="outputs" title="No videos yet">
            <p>Describe one and press Generate.</p>
            <Button kind="primary" icon="generate" onClick={() => go('generate')}>Describe a video</Button>
        </Empty>
    );
}

export function Outputs() {
    const [openId, setOpen] = useState<string | null>(null);
    const ids = outputIds.value;
    const open = openId !== null ? jobOf(openId)?.value : undefined;
    const turn = (by: number) => {
        const next = ids[ids.indexOf(openId ?? '') + by];
        if (next)
            setOpen(next);
    };
    return (
        <div class="outputs">
            <div class="tab-head">
                <h1>Outputs</h1>
                <Search />
            </div>
            {ids.length === 0 && !isOutputsLoading.value ? <Nothing />
                : <ul class="gallery">{ids.map((id) => <Tile key={id} id={id} onOpen={() => setOpen(id)} />)}</ul>}
            {outputsHaveMore.value && <More key={ids.length} />}
            {open && (
                <OutputDialog job={open} onClose={() => setOpen(null)} onTurn={turn}
                    hasBefore={ids.indexOf(open.id) > 0} hasAfter={ids.indexOf(open.id) < ids.length - 1} />
            )}
        </div>
    );
}
