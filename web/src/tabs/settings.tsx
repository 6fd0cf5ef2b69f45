/* Settings of the server, from its table, and of this page. */
import { useEffect, useState } from 'preact/hooks';
import { call, get } from '../api';
import { label } from '../format';
import { attempt, say } from '../state/messages';
import { serverVersion } from '../state/live';
import { theme, type Theme } from '../state/theme';
import type { Setting, SettingValue, System } from '../types';
import { Button } from '../ui/button';
import { problemOf, sentValue, SettingInput, valueOf } from './setting_input';

interface Reply {
    settings: Setting[];
}
type Changes = Record<string, SettingValue>;

function ThemePicker() {
    const names: [Theme, string][] = [['system', 'System'], ['light', 'Light'], ['dark', 'Dark']];
    return (
        <div class="setting">
            <div class="setting-text"><h3 id="theme-label">Theme</h3><p>Of this page, in this browser.</p></div>
            <div class="segments" role="radiogroup" aria-labelledby="theme-label">
                {names.map(([t, name]) => (
                    <label key={t} class={theme.value === t ? 'segment on' : 'segment'}>
                        <input type="radio" name="theme" checked={theme.value === t} onChange={() => (theme.value = t)} />
                        {name}
                    </label>
                ))}
            </div>
        </div>
    );
}

function Row({ setting, changes, onChange }: { setting: Setting; changes: Changes; onChange: (v: SettingValue) => void }) {
    const value = valueOf(setting, changes);
    const problem = problemOf(setting, value);
    const id = `setting-${setting.name}`;
    return (
        <div class={setting.name in changes ? 'setting changed' : 'setting'}>
            <div class="setting-text">
                <h3><label for={id}>{label(setting.name)}</label></h3>
                <p id={`${id}-help`}>
                    {setting.help.charAt(0).toUpperCase() + setting.help.slice(1)}.
                    {setting.needs_restart && ' Takes effect when the server is started again.'}
                </p>
                {problem && <p class="field-error" role="alert">{problem}</p>}
            </div>
            <SettingInput setting={setting} value={value} id={id} isWrong={problem !== null} onChange={onChange} />
        </div>
    );
}

function ServerSettings() {
    const [settings, setSettings] = useState<Setting[] | null>(null);
    const [changes, setChanges] = useState<Changes>({});
    useEffect(() => {
        void attempt(async () => setSettings((await get<Reply>('/api/v1/settings')).settings));
    }, []);
    if (!settings)
        return <p class="job-facts">Loading…</p>;
    const isWrong = settings.some((s) => problemOf(s, valueOf(s, changes)) !== null);
    const n = Object.keys(changes).length;
    const change = (s: Setting, v: SettingValue) => {
        const next = { ...changes };
        if (v === s.value)
            delete next[s.name];
        else
            next[s.name] = v;
        setChanges(next);
    };
    const save = (e: Event) => {
        e.preventDefault();
        void attempt(async () => {
            const changed = settings.filter((s) => s.name in changes);
            const body = Object.fromEntries(changed.map((s) => [s.name, sentValue(s, changes[s.name]!)]));
            setSettings((await call<Reply>('PUT', '/api/v1/settings', body)).settings);
            setChanges({});
            say('Settings saved.');
        });
    };
    return (
        <form onSubmit={save} noValidate>
            {settings.map((s) => <Row key={s.name} setting={s} changes={changes} onChange={(v) => change(s, v)} />)}
            <div class="row end settings-actions">
                <Button kind="quiet" disabled={n === 0} onClick={() => setChanges({})}>Undo</Button>
                <Button kind="primary" type="submit" disabled={n === 0 || isWrong}>Save</Button>
            </div>
        </form>
    );
}

function About() {
    const [system, setSystem] = useState<System | null>(null);
    useEffect(() => {
        get<System>('/api/v1/system').then(setSystem, () => {});
    }, []);
    const rows: [string, string][] = [
        ['Version', system?.version ?? serverVersion.value],
        ['Processor', system?.hardware?.processor?.description ?? ''],
        ...Object.entries(system?.folders ?? {}).map(([name, path]): [string, string] => [`Folder of ${name}`, path]),
    ];
    return (
        <dl class="facts">
            {rows.filter(([, v]) => v).map(([name, v]) => <div key={name}><dt>{name}</dt><dd>{v}</dd></div>)}
            <div><dt>Licences</dt><dd><a href="/licenses.txt" target="_blank" rel="noreferrer">of the page's libraries</a></dd></div>
        </dl>
    );
}

export function Settings() {
    return (
        <div class="settings">
            <div class="tab-head"><h1>Settings</h1></div>
            <section class="card"><h2>Page</h2><ThemePicker /></section>
            <section class="card"><h2>Server</h2><ServerSettings /></section>
            <section class="card"><h2>About</h2><About /></section>
        </div>
    );
}
