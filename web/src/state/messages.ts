/* Messages to the user: errors stay until they are dismissed, good news goes by itself. */
import { signal } from '@preact/signals';
import { isAbort, messageOf, ApiError } from '../api';

export interface Message {
    id: number;
    kind: 'error' | 'info';
    text: string;
}

const MOST = 4;
const INFO_MS = 5000;
let lastId = 0;

export const messages = signal<readonly Message[]>([]);

export function dismiss(id: number): void {
    messages.value = messages.value.filter((m) => m.id !== id);
}

function show(kind: Message['kind'], text: string): void {
    if (messages.value.some((m) => m.kind === kind && m.text === text))
        return;
    const id = ++lastId;
    messages.value = [...messages.value, { id, kind, text }].slice(-MOST);
    if (kind === 'info')
        setTimeout(() => dismiss(id), INFO_MS);
}

export function say(text: string): void {
    show('info', text);
}

/* A request for a token is answered by the login form, not by a message. */
export function complain(e: unknown): void {
    if (!isAbort(e) && !(e instanceof ApiError && e.status === 401))
        show('error', messageOf(e));
}

/* Does it; whatever goes wrong is said. True if it went well. */
export async function attempt(what: () => Promise<unknown>): Promise<boolean> {
    try {
        await what();
        return true;
    } catch (e) {
        complain(e);
        return false;
    }
}
