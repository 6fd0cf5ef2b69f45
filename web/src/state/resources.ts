/* What the machine does: the last two minutes of it. */
import { signal } from '@preact/signals';
import type { Resources } from '../types';

const SAMPLES = 60;

export const resources = signal<readonly Resources[]>([]);

export function onResources(r: Resources): void {
    resources.value = [...resources.value, r].slice(-SAMPLES);
}

/* Points of a polyline in a box of the given size: the newest at the right edge, 0 to 100 from bottom to top. */
export function sparkline(values: readonly number[], width: number, height: number): string {
    const step = width / (SAMPLES - 1);
    return values
        .map((v, i) => {
            const x = width - (values.length - 1 - i) * step;
            const y = height - (Math.min(100, Math.max(0, v)) / 100) * height;
            return `${x.toFixed(1)},${y.toFixed(1)}`;
        })
        .join(' ');
}
