/* Calls of the server.  Every failure is an ApiError whose message is the server's, fit to be shown. */
import { signal } from '@preact/signals';

/* The server wants a token that this browser has not shown yet. */
export const isLocked = signal(false);

export class ApiError extends Error {
    constructor(
        message: string,
        readonly status: number, /* 0: the server was not reached */
        readonly code: string,
        readonly param: string | null,
    ) {
        super(message);
    }
}

interface ErrorBody {
    error?: { code?: string; param?: string | null; message?: string };
}

async function errorOf(reply: Response): Promise<ApiError> {
    let body: ErrorBody = {};
    try {
        body = (await reply.json()) as ErrorBody;
    } catch {
        /* A proxy's page, or nothing: the status has to do. */
    }
    const message = body.error?.message ?? `The server answered ${reply.status} ${reply.statusText}`;
    return new ApiError(message, reply.status, body.error?.code ?? '', body.error?.param ?? null);
}

export async function call<T>(method: string, path: string, body?: unknown, abort?: AbortSignal): Promise<T> {
    const isRaw = body instanceof Blob;
    const init: RequestInit = { method, headers: { Accept: 'application/json' } };
    if (abort)
        init.signal = abort;
    if (body !== undefined) {
        init.body = isRaw ? body : JSON.stringify(body);
        init.headers = {
            Accept: 'application/json',
            'Content-Type': isRaw ? body.type || 'application/octet-stream' : 'application/json',
        };
    }
    let reply: Response;
    try {
        reply = await fetch(path, init);
    } catch (e) {
        if (e instanceof DOMException && e.name === 'AbortError')
            throw e;
        throw new ApiError('The server does not answer. Is kinora serve still running?', 0, '', null);
    }
    if (!reply.ok) {
        const error = await errorOf(reply);
        if (reply.status === 401)
            isLocked.value = true;
        throw error;
    }
    return (await reply.json()) as T;
}

export const get = <T>(path: string, abort?: AbortSignal) => call<T>('GET', path, undefined, abort);
export const post = <T>(path: string, body: unknown = {}, abort?: AbortSignal) => call<T>('POST', path, body, abort);

export function isAbort(e: unknown): boolean {
    return e instanceof DOMException && e.name === 'AbortError';
}

export function messageOf(e: unknown): string {
    return e instanceof Error ? e.message : String(e);
}
