/* How long to wait before the n-th try (from 0) to reach the server again: doubles up to half a minute, and is spread out so
 * that pages that lost the same server do not all come back at once. */
const FIRST_MS = 500;
const MOST_MS = 30000;

export function waitBefore(attempt: number, random: () => number = Math.random): number {
    const whole = Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
    return Math.round(whole / 2 + random() * (whole / 2));
}
