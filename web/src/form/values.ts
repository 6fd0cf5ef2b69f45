/* Between what stands in the form and what a request says.  The parameter table of the model decides both ways. */
import { bytes, number } from '../format';
import type { Lora, Param, RequestValue, VideoRequest } from '../types';

export interface LoraRow {
    path: string;
    strength: string;
    expert: string;
}
/* As typed: text, ids of uploads or lines of text, LoRAs. */
export type FormValue = string | string[] | LoraRow[];
export type FormValues = Record<string, FormValue>;

export const textOf = (v: FormValue | undefined): string => (typeof v === 'string' ? v : '');
export const idsOf = (v: FormValue | undefined): string[] =>
    Array.isArray(v) ? v.filter((i): i is string => typeof i === 'string') : v ? [v] : [];
export const lorasOf = (v: FormValue | undefined): LoraRow[] =>
    Array.isArray(v) ? v.filter((i): i is LoraRow => typeof i !== 'string') : [];

export function rangeOf(p: Param): string {
    const show = p.type === 'bytes' ? (n: number) => bytes(n) : number;
    if (p.min !== null && p.max !== null)
        return `${show(p.min)} to ${show(p.max)}`;
    return p.min !== null ? `at least ${show(p.min)}` : p.max !== null ? `at most ${show(p.max)}` : 'a number';
}

const outside = (p: Param, n: number) => (p.min !== null && n < p.min) || (p.max !== null && n > p.max);

function checkNumber(p: Param, text: string): string | null {
    const n = Number(text);
    if (!isFinite(n))
        return `“${text}” is no number; expected ${rangeOf(p)}`;
    if (p.type === 'int' && !Number.isSafeInteger(n))
        return `Expected a whole number, ${rangeOf(p)}`;
    return outside(p, n) ? `${text}: expected ${rangeOf(p)}` : null;
}

/* "6G", "1500M", a number of bytes; binary units, as the command line has them. */
export function parseBytes(text: string): number | null {
    const m = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text);
    if (!m)
        return null;
    return Math.round(Number(m[1]) * 1024 ** ' kmgt'.indexOf((m[2] || ' ').toLowerCase()));
}

function checkBytes(p: Param, text: string): string | null {
    const n = parseBytes(text);
    if (n === null)
        return `“${text}” is no size; expected one such as 6G or 1500M`;
    return outside(p, n) ? `${text}: expected ${rangeOf(p)}` : null;
}

function checkLoras(rows: LoraRow[]): string | null {
    for (const r of rows) {
        if (!r.path.trim())
            return 'A LoRA needs the path of its file, below the folder of models';
        if (r.strength.trim() && !isFinite(Number(r.strength)))
            return `“${r.strength}” is no strength; 1 is the usual one`;
    }
    return null;
}

/* What is wrong with a value, fit to stand below its field; null: nothing, or empty. */
export function check(p: Param, v: FormValue | undefined): string | null {
    if (p.type === 'loras')
        return checkLoras(lorasOf(v));
    const text = textOf(v).trim();
    if (!text)
        return null;
    switch (p.type) {
        case 'int':
        case 'real':
            return checkNumber(p, text);
        case 'bytes':
            return checkBytes(p, text);
        case 'reals':
            return text.split(',').map((t) => checkNumber(p, t.trim() || '?')).find((e) => e !== null) ?? null;
        case 'choice':
            return p.choices && !p.choices.includes(text) ? `Expected one of ${p.choices.join(', ')}` : null;
        default:
            return null;
    }
}

function valueOf(p: Param, v: FormValue | undefined): RequestValue {
    if (p.type === 'files') {
        const ids = idsOf(v);
        return ids.length ? ids : null;
    }
    if (p.type === 'texts') {
        const lines = idsOf(v).map((t) => t.trim()).filter((t) => t !== '');
        return lines.length ? lines : null;
    }
    if (p.type === 'loras') {
        const rows = lorasOf(v).map((r): Lora => ({
            path: r.path.trim(), strength: r.strength.trim() ? Number(r.strength) : 1, expert: r.expert || 'both',
        }));
        return rows.length ? rows : null;
    }
    const isProse = p.type === 'text';
    const text = isProse ? textOf(v) : textOf(v).trim();
    if (!text.trim())
        return null;
    switch (p.type) {
        case 'int':
        case 'real':
            return Number(text);
        case 'bytes':
            return parseBytes(text);
        case 'reals':
            return text.split(',').map(Number);
        default:
            return text;
    }
}

/* The request that the form says; of fields with errors and empty ones nothing. */
export function toRequest(model: string, params: readonly Param[], values: FormValues): VideoRequest {
    const request: VideoRequest = { model };
    for (const p of params) {
        const v = check(p, values[p.name]) === null ? valueOf(p, values[p.name]) : null;
        if (v !== null)
            request[p.name] = v;
    }
    return request;
}

export function errorsOf(params: readonly Param[], values: FormValues): Record<string, string> {
    const errors: Record<string, string> = {};
    for (const p of params) {
        const e = check(p, values[p.name]);
        if (e !== null)
            errors[p.name] = e;
    }
    return errors;
}

function formValue(v: RequestValue): FormValue {
    if (!Array.isArray(v))
        return v === null ? '' : String(v);
    if (v.every((i): i is string => typeof i === 'string'))
        return v;
    if (v.every((i): i is number => typeof i === 'number'))
        return v.join(', ');
    return (v as Lora[]).map((l) => ({ path: l.path, strength: String(l.strength ?? 1), expert: l.expert ?? 'both' }));
}

/* A request's parameters as they stand in the form, without the model. */
export function fromRequest(request: VideoRequest): FormValues {
    const values: FormValues = {};
    for (const [name, v] of Object.entries(request))
        if (name !== 'model' && v !== null)
            values[name] = formValue(v);
    return values;
}
