import { computed, signal } from '@preact/signals';
import { get } from '../api';
import type { Model } from '../types';

export const models = signal<readonly Model[] | null>(null); /* null: not asked yet */

/* Those that can make a video. */
export const usableModels = computed(() => (models.value ?? []).filter((m) => m.parameters && m.parameters.length));

export async function loadModels(): Promise<void> {
    models.value = (await get<{ models: Model[] }>('/api/v1/models')).models;
}

export function modelOf(name: string): Model | undefined {
    return usableModels.value.find((m) => m.name === name);
}

export function modelTitle(name: string): string {
    return models.value?.find((m) => m.name === name)?.title ?? name;
}

export function taskText(task: string): string {
    const names: Record<string, string> = {
        t2v: 'text to video', i2v: 'picture to video', flf2v: 'first and last picture', v2v: 'control clip',
    };
    return names[task] ?? task;
}
