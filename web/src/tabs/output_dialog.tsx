/* One finished video with everything that is known of it. */
import { useState } from 'preact/hooks';
import { bytes, duration, label } from '../format';
import { go } from '../router';
import { duplicate, remove } from '../state/actions';
import { loadRequest } from '../state/draft';
import { promptOf, sizeOf, wholeRequest } from '../state/job_kind';
import { modelTitle } from '../state/models';
import type { Job } from '../types';
import { Button, IconButton, LinkButton } from '../ui/button';
import { Confirm, Dialog } from '../ui/dialog';

interface Props {
    job: Job;
    onClose: () => void;
    onTurn: (by: number) => void;
    hasBefore: boolean;
    hasAfter: boolean;
}

function show(v: unknown): string {
    return typeof v === 'object' && v !== null ? JSON.stringify(v) : String(v);
}

function rows(job: Job): [string, string][] {
    const size = sizeOf(job);
    const skip = ['prompt', 'model', 'output', ...(size ? ['width', 'height'] : [])];
    const request = Object.entries(wholeRequest(job))
        .filter(([name, v]) => !skip.includes(name) && v !== null && v !== '')
        .map(([name, v]): [string, string] => [label(name), show(v)]);
    const result: [string, string][] = [
        ['Made', job.finished_at ? new Date(job.finished_at * 1000).toLocaleString() : '–'],
        ['Took', duration(job.result?.seconds ?? null)],
        ['Most memory', job.result?.peak_bytes ? bytes(job.result.peak_bytes) : '–'],
        ['Encoder', job.result?.encoder ?? '–'],
        ['Frames’ hash', job.result?.frames_hash ?? '–'],
        ['Job', job.id],
    ];
    const first: [string, string][] = [['Model', modelTitle(job.model)]];
    if (size)
        first.push(['Size', `${size.width} × ${size.height}`]);
    return [...first, ...request, ...result.filter(([, v]) => v !== '–')];
}

export function OutputDialog({ job, onClose, onTurn, hasBefore, hasAfter }: Props) {
    const [isAsking, setAsking] = useState(false);
    const size = sizeOf(job);
    const onKeyDown = (e: KeyboardEvent) => {
        if (e.target instanceof HTMLVideoElement)
            return;
        if (e.key === 'ArrowLeft')
            onTurn(-1);
        else if (e.key === 'ArrowRight')
            onTurn(1);
    };
    const use = () => {
        loadRequest(job.request);
        go('generate');
    };
    const reallyRemove = async () => {
        setAsking(false);
        if (await remove(job.id))
            onClose();
    };
    return (
        <Dialog title="Video" wide onClose={onClose} onKeyDown={onKeyDown}>
            <div class="output-dialog">
                <div class="output-stage">
                    <video key={job.id} src={job.video_url ?? undefined} poster={job.thumbnail_url ?? undefined} controls loop autoplay
                        muted playsInline style={{ aspectRatio: size ? `${size.width} / ${size.height}` : '16 / 9' }} />
                    <div class="turn">
                        <IconButton icon="left" label="Newer" disabled={!hasBefore} onClick={() => onTurn(-1)} />
                        <IconButton icon="right" label="Older" disabled={!hasAfter} onClick={() => onTurn(1)} />
                    </div>
                </div>
                <div class="output-facts">
                    <p class="output-full-prompt">{promptOf(job) || 'No prompt'}</p>
                    <div class="row">
                        <Button kind="primary" icon="settingsUse" onClick={use}>Use these settings</Button>
                        <LinkButton href={`${job.video_url}?download=1`} icon="download" download>Download</LinkButton>
                        <Button icon="copy" onClick={() => void duplicate(job.id)}>Again</Button>
                        <Button kind="danger" icon="trash" onClick={() => setAsking(true)}>Delete</Button>
                    </div>
                    <dl class="facts">
                        {rows(job).map(([name, v]) => (
                            <div key={name}>
                                <dt>{name}</dt>
                                <dd>{v}</dd>
                            </div>
                        ))}
                    </dl>
                </div>
            </div>
            {isAsking && (
                <Confirm title="Delete this video?" action="Delete" onClose={() => setAsking(false)} onYes={() => void reallyRemove()}
                    text="The video, its thumbnail and its entry are removed from the disk. This cannot be undone." />
            )}
        </Dialog>
    );
}
