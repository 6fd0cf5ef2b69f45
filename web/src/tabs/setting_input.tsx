/* The input of one setting, and what is wrong with what was typed. */
import { bytes, typedBytes } from '../format';
import { parseBytes } from '../form/values';
import type { Setting, SettingValue } from '../types';

/* What was changed on the page, else what the server has. */
export function valueOf(s: Setting, changes: Record<string, SettingValue>): SettingValue {
    return changes[s.name] ?? s.value;
}

const isNumber = (s: Setting) => s.type === 'int' || s.type === 'real';
const isSize = (s: Setting) => isNumber(s) && s.name.endsWith('_bytes');

/* What the server is to get; NaN where that is no number. */
export function sentValue(s: Setting, v: SettingValue): SettingValue {
    if (!isNumber(s) || typeof v === 'number')
        return v;
    const text = String(v).trim();
    return text === '' ? NaN : isSize(s) ? (parseBytes(text) ?? NaN) : Number(text);
}

export function problemOf(s: Setting, v: SettingValue): string | null {
    if (!isNumber(s))
        return null;
    const n = Number(sentValue(s, v));
    const isIn = isFinite(n) && (s.min === null || n >= s.min) && (s.max === null || n <= s.max);
    if (isIn && (s.type === 'real' || Number.isSafeInteger(n)))
        return null;
    const show = (limit: number | null, none: string) => (limit === null ? none : isSize(s) ? bytes(limit) : String(limit));
    const what = isSize(s) ? 'size such as 20G,' : s.type === 'int' ? 'whole number' : 'number';
    return `Expected a ${what} from ${show(s.min, '−∞')} to ${show(s.max, '∞')}`;
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
    const onInput = (text: string) => onChange(sentValue(s, text) === s.value ? s.value : text);
    const n = isSize(s) && !isWrong ? Number(sentValue(s, value)) : 0;
    const shown = isSize(s) && typeof value === 'number' ? typedBytes(value) : String(value);
    return (
        <span class="setting-value">
            <input {...described} type="text" inputMode={isNumber(s) && !isSize(s) ? 'numeric' : 'text'} spellcheck={false} autocomplete="off"
                aria-invalid={isWrong} value={shown} onInput={(e) => onInput(e.currentTarget.value)} />
            {n > 0 && <span class="job-facts">{bytes(n)}</span>}
        </span>
    );
}
