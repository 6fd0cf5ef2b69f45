import type { ComponentType } from 'preact';
import { isLocked } from './api';
import { tab, TABS, type Tab } from './router';
import { queueIds } from './state/jobs';
import { ConnectionBanner, ConnectionDot } from './ui/connection';
import { Icon, Logo } from './ui/icon';
import { Login } from './ui/login';
import { Messages } from './ui/messages';
import { ResourceBar } from './ui/resource_bar';
import { Generate } from './tabs/generate';
import { Models } from './tabs/models';
import { Outputs } from './tabs/outputs';
import { Queue } from './tabs/queue';
import { Settings } from './tabs/settings';

const PAGES: Record<Tab, ComponentType> = {
    generate: Generate, queue: Queue, outputs: Outputs, models: Models, settings: Settings,
};

/* Left and right walk along the tabs, as people expect of tabs. */
function onArrow(e: KeyboardEvent): void {
    const by = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0;
    const nav = e.currentTarget as HTMLElement;
    const links = [...nav.querySelectorAll('a')];
    const next = by ? links[links.indexOf(document.activeElement as HTMLAnchorElement) + by] : undefined;
    next?.focus();
}

function Tabs() {
    const n = queueIds.value.length; /* beyond 99 nobody counts */
    return (
        <nav class="tabs" aria-label="Parts of the studio" onKeyDown={onArrow}>
            {TABS.map((t) => (
                <a key={t} href={`#/${t}`} class="tab" aria-current={t === tab.value ? 'page' : undefined}>
                    <Icon name={t} size={20} />
                    <span>{t.charAt(0).toUpperCase() + t.slice(1)}</span>
                    {t === 'queue' && n > 0 && <span class="tab-count" aria-label={`${n} in the queue`}>{n > 99 ? '99+' : n}</span>}
                </a>
            ))}
        </nav>
    );
}

export function App() {
    if (isLocked.value)
        return <><Login /><Messages /></>;
    const Page = PAGES[tab.value];
    return (
        <>
            <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById('main')?.focus(); }}>
                To the content
            </a>
            <header class="top">
                <a class="brand" href="#/generate"><Logo /><span>Kinora</span></a>
                <Tabs />
                <ResourceBar />
                <ConnectionDot />
            </header>
            <ConnectionBanner />
            <main id="main" tabIndex={-1}><Page /></main>
            <Messages />
        </>
    );
}
