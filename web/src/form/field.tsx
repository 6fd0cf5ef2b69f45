/* One parameter as a field: label, what it is for, the input, and what is wrong with it. */
import type { ComponentChildren } from 'preact';
import { label } from '../format';
import { errors } from '../state/draft';
import type { Param } from '../types';
import { rangeOf } from './values';

export const fieldId = (name: string) => `field-${name}`;

/* What an input says of itself to assistive software. */
export function describe(name: string) {
    const isWrong = errors.value[name] !== undefined;
    return {
        id: fieldId(name),
        name,
        'aria-invalid': isWrong,
        'aria-describedby': `${fieldId(name)}-help${isWrong ? ` ${fieldId(name)}-error` : ''}`,
    } as const;
}

interface Props {
    param: Param;
    title?: string;
    aside?: ComponentChildren; /* at the right of the label */
    wide?: boolean;
    children: ComponentChildren;
}

const isNumber = (p: Param) => p.type === 'int' || p.type === 'real';

function sentence(help: string): string {
    return `${help.charAt(0).toUpperCase()}${help.slice(1)}.`;
}

export function Field({ param, title, aside, wide, children }: Props) {
    const error = errors.value[param.name];
    const id = fieldId(param.name);
    return (
        <div class={wide ? 'field wide' : 'field'}>
            <div class="field-head">
                <label class="field-label" for={id}>{title ?? label(param.name)}</label>
                <span class="help">
                    <button type="button" class="help-button" aria-label={`What is ${title ?? label(param.name)}?`}
                        aria-describedby={`${id}-help`}>?</button>
                    <span class="help-text" role="tooltip" id={`${id}-help`}>
                        {sentence(param.help)}
                        {isNumber(param) && <> From {rangeOf(param)}.</>}
                        {param.default && <> Left empty: {param.default}.</>}
                    </span>
                </span>
                {aside && <span class="field-aside">{aside}</span>}
            </div>
            {children}
            {error && <p class="field-error" id={`${id}-error`}>{error}</p>}
        </div>
    );
}
