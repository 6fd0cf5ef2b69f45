/* What stands in the form.  It survives a reload. */
import { computed, effect, signal } from '@preact/signals';
import { errorsOf, fromRequest, textOf, toRequest, type FormValue, type FormValues } from '../form/values';
import { takenParams } from '../form/groups';
import { recall, remember } from '../storage';
import type { VideoRequest } from '../types';
import { models, usableModels } from './models';

interface Draft {
    model: string;
    values: FormValues;
    editing: string | null;
}

const saved = recall<Partial<Draft>>('draft', {});

export const chosenModel = signal(saved.model ?? '');
export const values = signal<FormValues>(saved.values ?? {});
export const editingId = signal<string | null>(saved.editing ?? null); /* the waiting job that the form changes */
/* What sending the form brought to light; stays until the field is changed. */
export const sendErrors = signal<Record<string, string>>({});
/* What the server said of the plan; the next plan says it anew. */
export const planErrors = signal<Record<string, string>>({});

/* The chosen one while it is there, else the demo, else the first. */
export const model = computed(() => {
    const all = usableModels.value;
    return all.find((m) => m.name === chosenModel.value) ?? all.find((m) => m.name === 'demo') ?? all[0];
});

export const params = computed(() => (model.value ? takenParams(model.value) : []));
export const errors = computed(() => ({
    ...planErrors.value, ...sendErrors.value, ...errorsOf(params.value, values.value),
}));
export const request = computed<VideoRequest | null>(() =>
    model.value ? toRequest(model.value.name, params.value, values.value) : null,
);

/* The number that applies: what was typed, else the model's own. */
export function numberOf(name: string): number | null {
    const text = textOf(values.value[name]).trim();
    const n = text ? Number(text) : model.value?.defaults?.[name];
    return typeof n === 'number' && isFinite(n) ? n : null;
}

export function setValue(name: string, v: FormValue): void {
    values.value = { ...values.value, [name]: v };
    for (const errs of [sendErrors, planErrors])
        if (errs.value[name]) {
            const rest = { ...errs.value };
            delete rest[name];
            errs.value = rest;
        }
}

export function loadRequest(from: VideoRequest, editing: string | null = null): void {
    if (typeof from['model'] === 'string')
        chosenModel.value = from['model'];
    values.value = fromRequest(from);
    sendErrors.value = {};
    planErrors.value = {};
    editingId.value = editing;
}

export function clearForm(): void {
    values.value = {};
    sendErrors.value = {};
    planErrors.value = {};
    editingId.value = null;
}

const SAVE_MS = 250;
let timer = 0;

function save(): void {
    clearTimeout(timer);
    remember('draft', {
        model: model.peek()?.name ?? chosenModel.peek(), values: values.peek(), editing: editingId.peek(),
    } satisfies Draft);
}

export function startDraft(): void {
    effect(() => {
        void values.value, chosenModel.value, models.value, editingId.value;
        clearTimeout(timer);
        timer = setTimeout(save, SAVE_MS);
    });
    addEventListener('pagehide', save);
}
