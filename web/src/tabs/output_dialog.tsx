/* One finished video with everything that is known of it. */
import { useState } from 'preact/hooks';
import { go } from '../router';
import { duplicate, remove } from '../state/actions';
import { loadRequest } from '../state/draft';
import { promptOf, sizeOf } from '../state/job_kind';
import { modelTitle } from '../state/models';
import type { Job } from '../types';
import { Button, IconButton, LinkButton } from '../ui/button';
import { Clip } from '../ui/clip';
import { Confirm, Dialog } from '../ui/dialog';
import { outputFacts } from './output_facts';

interface Props {
    job: Job;
    onClose: () => void;
    onTurn: (by: number) => void;
    hasBefore: boolean;
    hasAfter: boolean;
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
                    <Clip job={job} style={{ aspectRatio: size ? `${size.width} / ${size.height}` : '16 / 9' }} controls />
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
                        {outputFacts(job, modelTitle(job.model)).map(([name, v]) => (
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
