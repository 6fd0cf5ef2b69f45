import { effect, signal } from '@preact/signals';
import { recall, remember } from '../storage';

export type Theme = 'system' | 'light' | 'dark';

export const theme = signal<Theme>(recall<Theme>('theme', 'system'));

export function startTheme(): void {
    effect(() => {
        const root = document.documentElement;
        if (theme.value === 'system')
            delete root.dataset['theme'];
        else
            root.dataset['theme'] = theme.value;
        remember('theme', theme.value);
    });
}
