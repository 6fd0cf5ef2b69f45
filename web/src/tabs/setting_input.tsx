/* The input of one setting, and what is wrong with what was typed. */
import { bytes } from '../format';
import type { Setting, SettingValue } from '../types';

/* What was changed on the page, else what the server has. */
export function valueOf(s: Setting, changes: Record<string, SettingValue>): SettingValue {
    return changes[s.name] ?? s.value;
}

export function problemOf(s: Setting, v: SettingValue): string | null {
    if (s.type !== 'int' && s.type !== 'real')
        return null;
    const n = typeof v === 'string' && !v.trim() ? NaN : Number(v);
    const isIn = isFinite(n) && (s.min === null || n >= s.min) && (s.max === null || n <= s.max);
    if (isIn && (s.type === 'real' || Number.isSafeInteger(n)))
        return null;
    return `Expected a ${s.type === 'int' ? 'whole ' : ''}number from ${s.min ?? '−∞'} to ${s.max ?? '∞'}`;
}

interface Props {
    setting: Setting;
    value: SettingValue;
    id: string;
    isWrong: boolean;
    onChange: (v: SettingValue) => void;
}

export function SettingInput({ setting: s, value, id, isWrong, onChange }: Props) {
    const described = { id, 'aria-describedby': `${id}-help` };
    if (s.type === 'bool')
        return (
            <input {...described} type="checkbox" class="switch" role="switch" checked={value === true}
                onChange={(e) => onChange(e.currentTarget.checked)} />
        );
    if (s.type === 'choice')
        return (
            <select {...described} value={String(value)} onChange={(e) => onChange(e.currentTarget.value)}>
                {(s.choices ?? []).map((c) => <option key={c} value={c}>{c}</option>)}
            </select>
        );
    const isNumber = s.type === 'int' || s.type === 'real';
    const onInput = (text: string) => onChange(isNumber && Number(text) === s.value && text.trim() ? s.value : text);
    const size = s.name.endsWith('_bytes') && Number(value) > 0 ? bytes(Number(value)) : null;
    return (
        <span class="setting-value">
            <input {...described} type="text" inputMode={isNumber ? 'numeric' : 'text'} spellcheck={false} autocomplete="off"
                aria-invalid={isWrong} value={String(value)} onInput={(e) => onInput(e.currentTarget.value)} />
            {size && <span class="job-facts">{size}</span>}
        </span>
    );
}
