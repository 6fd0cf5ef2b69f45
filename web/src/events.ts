/* The server's messages over WebSockets, and reaching it again when it was away. */
import { signal } from '@preact/signals';
import { get, isLocked } from './api';
import { waitBefore } from './backoff';

export type Link = { state: 'connecting' } | { state: 'live' } | { state: 'lost'; until: number };

export interface Channel {
    link: ReturnType<typeof signal<Link>>;
    retryNow(): void;
}

/* Opens the channel and keeps it open.  `opened` is called each time it is, `message` with every message. */
export function openChannel<T>(path: string, message: (m: T) => void, opened: () => void = () => {}): Channel {
    const link = signal<Link>({ state: 'connecting' });
    let attempts = 0;
    let timer = 0;

    const connect = () => {
        clearTimeout(timer);
        link.value = { state: 'connecting' };
        const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${path}`);
        socket.onopen = () => {
            attempts = 0;
            link.value = { state: 'live' };
            opened();
        };
        socket.onmessage = (e) => {
            if (typeof e.data === 'string')
                message(JSON.parse(e.data) as T);
        };
        socket.onclose = () => {
            const wait_ms = waitBefore(attempts++);
            link.value = { state: 'lost', until: Date.now() + wait_ms };
            timer = setTimeout(connect, wait_ms);
            /* A refused WebSocket does not say why; a plain call finds out whether a token is wanted. */
            if (attempts === 1)
                get('/api/v1/queue').catch(() => {});
        };
    };

    const retryNow = () => {
        if (link.value.state === 'lost')
            connect();
    };
    addEventListener('online', retryNow);
    document.addEventListener('visibilitychange', () => {
        if (document.visibilityState === 'visible')
            retryNow();
    });
    isLocked.subscribe((locked) => {
        if (!locked)
            retryNow();
    });
    connect();
    return { link, retryNow };
}
