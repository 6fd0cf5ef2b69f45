/* Inputs for the types of the parameter table. */
import { number } from '../format';
import { model, numberOf, setValue, values } from '../state/draft';
import type { Param } from '../types';
import { describe } from './field';
import { idsOf, textOf } from './values';

/* What applies when the field is left empty. */
export function placeholder(p: Param): string {
    const own = model.value?.defaults?.[p.name];
    if (typeof own === 'number')
        return number(own);
    if (typeof own === 'string' && own)
        return own;
    return p.default && p.default.length < 24 ? p.default : p.name === 'seed' ? 'random' : 'automatic';
}

function step(p: Param, by: number): void {
    const now = numberOf(p.name) ?? p.min ?? 0;
    const size = p.type === 'real' ? 0.5 : 1;
    const next = Number((now + by * size).toFixed(4));
    setValue(p.name, String(Math.min(p.max ?? Infinity, Math.max(p.min ?? -Infinity, next))));
}

export function NumberInput({ param }: { param: Param }) {
    const isStepped = param.type === 'int' || param.type === 'real';
    const onKeyDown = (e: KeyboardEvent) => {
        if (!isStepped || (e.key !== 'ArrowUp' && e.key !== 'ArrowDown'))
            return;
        e.preventDefault();
        step(param, (e.key === 'ArrowUp' ? 1 : -1) * (e.shiftKey ? 10 : 1));
    };
    return (
        <input {...describe(param.name)} type="text" autocomplete="off" spellcheck={false}
            inputMode={param.type === 'int' ? 'numeric' : param.type === 'real' ? 'decimal' : 'text'}
            placeholder={placeholder(param)} value={textOf(values.value[param.name])}
            onInput={(e) => setValue(param.name, e.currentTarget.value)} onKeyDown={onKeyDown} />
    );
}

export function TextInput({ param }: { param: Param }) {
    return (
        <input {...describe(param.name)} type="text" autocomplete="off" spellcheck={false} placeholder={placeholder(param)}
            value={textOf(values.value[param.name])} onInput={(e) => setValue(param.name, e.currentTarget.value)} />
    );
}

export function ProseInput({ param, rows, hint }: { param: Param; rows: number; hint?: string }) {
    return (
        <textarea {...describe(param.name)} rows={rows} placeholder={hint} value={textOf(values.value[param.name])}
            onInput={(e) => setValue(param.name, e.currentTarget.value)} />
    );
}

export function ChoiceInput({ param }: { param: Param }) {
    const chosen = textOf(values.value[param.name]);
    return (
        <select {...describe(param.name)} value={chosen} onChange={(e) => setValue(param.name, e.currentTarget.value)}>
            <option value="">{placeholder(param)}</option>
            {(param.choices ?? []).map((c) => <option key={c} value={c}>{c}</option>)}
        </select>
    );
}

/* A text a line. */
export function LinesInput({ param }: { param: Param }) {
    return (
        <textarea {...describe(param.name)} rows={2} placeholder={`One a line. Otherwise ${placeholder(param)}`}
            value={idsOf(values.value[param.name]).join('\n')}
            onInput={(e) => setValue(param.name, e.currentTarget.value.split('\n'))} />
    );
}

/* A few choices side by side. */
export function SegmentInput({ param }: { param: Param }) {
    const own = model.value?.defaults?.[param.name];
    const chosen = textOf(values.value[param.name]) || (typeof own === 'string' ? own : param.choices?.[0]);
    return (
        <div class="segments" role="radiogroup" aria-label={param.name} id={`field-${param.name}`}>
            {(param.choices ?? []).map((c) => (
                <label key={c} class={c === chosen ? 'segment on' : 'segment'}>
                    <input type="radio" name={param.name} value={c} checked={c === chosen}
                        onChange={() => setValue(param.name, c)} />
                    {c}
                </label>
            ))}
        </div>
    );
}
