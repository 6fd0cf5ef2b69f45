/* The two channels of the page. */
import { signal } from '@preact/signals';
import { ApiError } from '../api';
import { openChannel, type Channel } from '../events';
import type { Resources, StudioEvent } from '../types';
import { isLoaded, loadAll, onEvent } from './jobs';
import { complain } from './messages';
import { loadModels } from './models';
import { onResources } from './resources';

export const channel = signal<Channel | null>(null);
export const serverVersion = signal('');

/* That the server is away is said once, by the banner. */
function report(e: unknown): void {
    if (!(e instanceof ApiError && e.status === 0))
        complain(e);
}

/* What changed while the page was not connected is in the lists. */
function refresh(): void {
    loadAll().catch(report);
    loadModels().catch(report);
}

export function startLive(): void {
    channel.value = openChannel<StudioEvent>(
        '/ws/progress',
        (e) => {
            if (e.type === 'hello')
                serverVersion.value = e.version;
            else
                onEvent(e);
        },
        refresh,
    );
    /* Where WebSockets do not get through, the page still shows what there is. */
    channel.value.link.subscribe((link) => {
        if (link?.state === 'lost' && !isLoaded.peek())
            refresh();
    });
    openChannel<Resources>('/ws/resources', (r) => {
        if (r.type === 'resources')
            onResources(r);
    });
}
