/* Tabs as addresses: #/queue.  A reload and the browser's back button keep the place. */
import { signal } from '@preact/signals';

export const TABS = ['generate', 'queue', 'outputs', 'models', 'settings'] as const;
export type Tab = (typeof TABS)[number];

export function tabOf(hash: string): Tab {
    const name = hash.replace(/^#\/?/, '').split('/')[0];
    return TABS.find((t) => t === name) ?? 'generate';
}

export const tab = signal<Tab>('generate');

export function go(to: Tab): void {
    location.hash = `#/${to}`;
}

export function startRouter(): void {
    const follow = () => {
        const next = tabOf(location.hash);
        if (next !== tab.value)
            window.scrollTo(0, 0);
        tab.value = next;
        document.title = `${next.charAt(0).toUpperCase()}${next.slice(1)} · Kinora`;
    };
    addEventListener('hashchange', follow);
    follow();
}
