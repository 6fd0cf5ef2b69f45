/* What can be generated with. */
import { useEffect, useState } from 'preact/hooks';
import { get, post } from '../api';
import { bytes, label, number } from '../format';
import { go } from '../router';
import { chosenModel } from '../state/draft';
import { attempt } from '../state/messages';
import { models, modelTitle, taskText } from '../state/models';
import type { LoadedPart, Model, Param } from '../types';
import { Button } from '../ui/button';
import { Empty } from '../ui/empty';
import { Icon } from '../ui/icon';

const SUPPORT: Record<string, string> = {
    ready: 'Ready', limited: 'Limited', requires_patch: 'Needs a patch', not_supported: 'Not supported',
};

function rangeOf(p: Param): string {
    if (p.choices)
        return p.choices.join(', ');
    if (p.min === null && p.max === null)
        return p.type;
    const show = (n: number | null) => (n === null ? '' : p.type === 'bytes' ? bytes(n) : number(n));
    return `${show(p.min)} – ${show(p.max)}`;
}

function Parameters({ model }: { model: Model }) {
    return (
        <div class="table-scroll">
            <table class="parameters">
                <thead>
                    <tr><th>Parameter</th><th>Default</th><th>Range</th><th>What it is</th></tr>
                </thead>
                <tbody>
                    {(model.parameters ?? []).map((p) => (
                        <tr key={p.name}>
                            <th scope="row"><code>{p.name}</code></th>
                            <td>{String(model.defaults?.[p.name] ?? p.default ?? '')}</td>
                            <td>{rangeOf(p)}</td>
                            <td>{p.help}</td>
                        </tr>
                    ))}
                </tbody>
            </table>
        </div>
    );
}

function defaultsText(m: Model): string {
    const { width, height, frames, fps, steps } = m.defaults ?? {};
    return [
        width && height && `${String(width)} × ${String(height)}`,
        frames && `${String(frames)} frames`,
        fps && `${String(fps)} a second`,
        steps && `${String(steps)} steps`,
    ].filter(Boolean).join(' · ');
}

function Card({ model: m }: { model: Model }) {
    const isUsable = (m.parameters?.length ?? 0) > 0;
    const generate = () => {
        chosenModel.value = m.name;
        go('generate');
    };
    return (
        <li class="model card">
            <div class="model-head">
                <div>
                    <h2>{m.title}</h2>
                    <p class="job-facts">{[m.name !== m.title && m.name, m.family && `family ${m.family}`, m.size_bytes && bytes(m.size_bytes)].filter(Boolean).join(' · ')}</p>
                </div>
                <div class="row">
                    <span class={`badge ${m.support}`}>{SUPPORT[m.support] ?? label(m.support)}</span>
                    {isUsable && <Button icon="generate" onClick={generate}>Generate</Button>}
                </div>
            </div>
            {m.error && <p class="job-error">{m.error}</p>}
            <div class="tasks">{m.tasks.map((t) => <span key={t} class="tag">{taskText(t)}</span>)}</div>
            {defaultsText(m) && <p class="model-defaults">{defaultsText(m)}</p>}
            {m.path && <p class="job-facts path" title={m.path}>{m.path}</p>}
            {isUsable && (
                <details class="more">
                    <summary>{m.parameters!.length} parameters <Icon name="chevron" size={16} /></summary>
                    <Parameters model={m} />
                </details>
            )}
        </li>
    );
}

const LOOK_MS = 3000;

/* What workers keep between jobs, with a way to have the memory back. */
function Loaded() {
    const [parts, setParts] = useState<readonly LoadedPart[]>([]);
    useEffect(() => {
        const look = () => get<{ loaded: LoadedPart[] }>('/api/v1/models/loaded').then((r) => setParts(r.loaded)).catch(() => {});
        void look();
        const timer = setInterval(() => void look(), LOOK_MS);
        return () => clearInterval(timer);
    }, []);
    if (!parts.length)
        return null;
    const names = [...new Set(parts.map((p) => modelTitle(p.model)))].join(', ');
    const unload = () => attempt(async () => {
        await post('/api/v1/models/unload');
        setParts([]);
    });
    return (
        <p class="note loaded">
            <span>
                In memory, ready for the next job: <strong>{names}</strong> ({bytes(parts.reduce((sum, p) => sum + p.bytes, 0))})
            </span>
            <Button kind="quiet" onClick={() => void unload()}>Unload</Button>
        </p>
    );
}

export function Models() {
    const all = models.value;
    return (
        <div class="models">
            <div class="tab-head"><h1>Models</h1></div>
            <Loaded />
            {all?.length === 0 && (
                <Empty icon="models" title="No models">
                    <p>Put a model folder from Hugging Face into the folder of models; Settings names it.</p>
                </Empty>
            )}
            <ul class="model-list">{(all ?? []).map((m) => <Card key={m.name} model={m} />)}</ul>
        </div>
    );
}
