/* What this browser remembers.  A browser that forbids storage forgets; nothing else fails. */
const PREFIX = 'kinora.';

export function recall<T>(key: string, fallback: T): T {
    try {
        const text = localStorage.getItem(PREFIX + key);
        return text === null ? fallback : (JSON.parse(text) as T);
    } catch {
        return fallback;
    }
}

export function remember(key: string, value: unknown): void {
    try {
        localStorage.setItem(PREFIX + key, JSON.stringify(value));
    } catch {
        /* full or forbidden */
    }
}
